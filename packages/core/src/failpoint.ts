import { writeSync } from 'node:fs'

/**
 * Places where the fault harness lets a process die, fail or stand still. Unarmed, which is always outside of `pnpm faults`, each is
 * a call that returns at once.
 */
export const FAILPOINTS = [
  'in-body',
  'in-staged',
  'in-before-commit',
  'in-after-commit',
  'in-before-reply',
  'relay-claimed',
  'relay-after-add',
  'relay-removed',
  'w-start',
  'w-read',
  'w-decoded',
  'w-put-half',
  'w-put',
  'w-tx-locked',
  'w-before-commit',
  'w-after-commit',
  'w-before-ack',
  'rec-after-bump',
  'gc-marked',
  'gc-object-deleted',
  'change-locked',
  'change-before-commit',
] as const

export type Failpoint = (typeof FAILPOINTS)[number]

type Action = (name: Failpoint) => void

let armed: Action | null = null

/** Synchronous, so that nothing happens between the line above it and the death. */
export function failpoint(name: Failpoint): void {
  armed?.(name)
}

/**
 * Arms what the specification names, for the life of the process: `w-put=kill@3,in-staged=prob:0.01,relay-claimed=throw`. Modes are
 * `kill`, `throw`, `sleep:<ms>`, which stops the whole process for so long, and `prob:<p>`, which kills. `@k` waits for the k-th time
 * that the place is passed; without it each time counts. The seed decides what chance decides. Throws for what is no specification.
 */
export function armFailpoints(specification: string, seed = 1): void {
  const actions = new Map<Failpoint, () => void>()
  const random = randomFrom(seed)
  for (const part of specification.split(',')) {
    const [, name, mode = '', argument, turn] =
      /^([a-z-]+)=(kill|throw|sleep|prob)(?::([\d.]+))?(?:@(\d+))?$/.exec(part.trim()) ?? []
    const known = FAILPOINTS.find((point) => point === name)
    if (!known) throw new Error(`${JSON.stringify(part.trim())} arms no failpoint. There are ${FAILPOINTS.join(', ')}.`)
    actions.set(known, onTurn(actionOf(known, mode, Number(argument ?? 0), random), Number(turn ?? 0)))
  }
  armed = (name) => actions.get(name)?.()
}

export function disarmFailpoints(): void {
  armed = null
}

/** Zero: at each time. */
function onTurn(act: () => void, turn: number): () => void {
  let passed = 0
  return () => {
    passed += 1
    if (turn === 0 || passed === turn) act()
  }
}

function actionOf(name: Failpoint, mode: string, argument: number, random: () => number): () => void {
  if (mode === 'throw') {
    return () => {
      throw new Error(`failpoint ${name}`)
    }
  }
  if (mode === 'sleep') {
    return () => {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, argument)
      writeSync(2, `failpoint ${name} woke up\n`)
    }
  }
  const die = () => dieAt(name)
  if (mode === 'prob') return () => void (random() < argument && die())
  return die
}

/** It says where. Nothing runs after the signal: it is delivered before the call returns. */
function dieAt(name: Failpoint): void {
  writeSync(2, `failpoint ${name}\n`)
  process.kill(process.pid, 'SIGKILL')
}

/** Mulberry32, by Tommy Ettinger: small, and the same everywhere. */
export function randomFrom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
