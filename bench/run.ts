/** `pnpm bench <name>`: measures on this machine, prints the method and the figures, and ends by itself. */
const BENCHES: Readonly<Record<string, () => Promise<unknown>>> = {
  fairness: () => import('./fairness.ts'),
  import: () => import('./import.ts'),
  overload: () => import('./overload.ts'),
}

const bench = BENCHES[process.argv[2] ?? '']
if (!bench) {
  process.stderr.write(`Usage: pnpm bench <${Object.keys(BENCHES).join(' | ')}>\n`)
  process.exit(2)
}
await bench()
