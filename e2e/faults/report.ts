import type { Report } from './run.ts'

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`

/** The table of a run, as it is printed and as it stands in docs/operations/reliability.md. */
export function tableOf(report: Report): string {
  const rows = rowsOf(report)
  return ['| | |', '| --- | --- |', ...rows.map(([name, value]) => `| ${name} | ${value} |`)].join('\n')
}

function rowsOf(report: Report): [string, string | number][] {
  const { options, history, findings, killsOf, faults, progressMs } = report
  const { recoveryMs, counts } = findings
  const atPoints = [...killsOf.values()].reduce((sum, count) => sum + count, 0)
  const killed = atPoints + report.killsFromOutside
  const processes = Map.groupBy(report.processes, (role) => role)
  return [
    ['wiring', `${options.wiring} (${report.store})`],
    ['seed', options.seed],
    ...(options.mutants.length > 0 ? [['broken', options.mutants.join(', ')] as [string, string]] : []),
    ['processes', list([...processes].map(([role, of]) => [role, of.length]))],
    ['of them with a clock that is wrong by 7 or 11 minutes', report.wrongClocks],
    ['uploads', history.sent],
    ['acknowledged', history.acknowledged.length],
    ['not acknowledged', history.gaveUp],
    ['ingests', list(Object.entries(findings.ingests))],
    ['clients gone mid-body', history.goneMidBody],
    ['SIGKILL', `${killed}, ${(killed / (report.chaosMs / 1000)).toFixed(2)} per second`],
    [`at failpoints, of which there are ${killsOf.size}`, atPoints],
    ['at each', list([...killsOf])],
    ['at any other moment', report.killsFromOutside],
    ['faults', list([...faults])],
    ...(report.hasDisk ? [] : [['left out, since nothing can be mounted here', 'staging disk full'] as [string, string]]),
    ...[...progressMs].map(
      ([name, times]) => [`${name}: progress again after`, times.map(seconds).join(', ')] as [string, string],
    ),
    ['starts refused while a server was away', report.refusedStarts],
    ...Object.entries(counts),
    ['unexpected exits', report.unexpected.length],
    ['queued again by the reconciler before any start', findings.rescued],
    ['half-written files left for the hour', findings.partialFiles],
    ['interrupted and finished', recoveryMs.interrupted],
    ['recovery p50 / p95 / max', `${seconds(recoveryMs.p50)} / ${seconds(recoveryMs.p95)} / ${seconds(recoveryMs.max)}`],
    ['under fire, then drained in', `${seconds(report.chaosMs)}, ${seconds(report.drainMs)}`],
  ]
}

/** What somebody who looks for the reason needs beside the table. */
export function explanationOf({ findings, unexpected, violations, errors, history }: Report): string {
  const most = (counts: ReadonlyMap<string, number>) =>
    [...counts]
      .toSorted(([, a], [, b]) => b - a)
      .slice(0, 12)
      .map(([text, count]) => `  ${count} × ${text}`)
  return [
    violations.length === 0 ? 'Green: nothing lost, nothing twice.' : `RED: ${violations.join('; ')}.`,
    ...findings.examples.map((example) => `  ${example}`),
    ...unexpected.slice(0, 5),
    ...(findings.slowest.length > 0 ? ['The one that took longest from its first start:'] : []),
    ...findings.slowest.map((line) => `  ${line}`),
    'Answers:',
    ...most(history.answers),
    'Errors in the logs:',
    ...most(errors),
  ].join('\n')
}

function list(entries: readonly (readonly [string, number])[]): string {
  return entries.map(([name, count]) => `${name} ${count}`).join(', ')
}
