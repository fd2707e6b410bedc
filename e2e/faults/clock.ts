/** From now on this process is wrong about the time by so much. */
export function moveClock(byMs: number): void {
  if (byMs === 0) return
  const Right = Date
  const now = () => Right.now() + byMs
  globalThis.Date = new Proxy(Right, {
    construct: (target, given, asked) => Reflect.construct(target, given.length === 0 ? [now()] : given, asked),
    apply: () => new Right(now()).toString(),
    get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
  })
}
