import type { Ingests, NewIngest } from '../../ports.ts'
import type { Tables } from './tables.ts'

export function memoryAnswers({
  answers,
  ingests,
  now,
}: Tables): Pick<Ingests, 'claimUnanswered' | 'holdAnswer' | 'markAnswered'> {
  const nowMs = () => now().getTime()
  return {
    async claimUnanswered(tenantId, fingerprint, leaseMs, ageMsMax) {
      const claimed = [...ingests.values()]
        .filter((ingest) => ingest.tenantId === tenantId && ingest.createdAt.getTime() > nowMs() - ageMsMax)
        .find(({ id }) => answers.get(id)?.fingerprint === fingerprint && (answers.get(id)?.heldUntilMs ?? 0) <= nowMs())
      if (!claimed) return null
      answers.set(claimed.id, { fingerprint, heldUntilMs: nowMs() + leaseMs })
      return claimed
    },
    async holdAnswer(id, leaseMs) {
      const answer = answers.get(id)
      if (answer) answers.set(id, { ...answer, heldUntilMs: nowMs() + leaseMs })
    },
    markAnswered: async (id) => void answers.delete(id),
  }
}

export function holdNewAnswer({ answers, now }: Tables, { id, answer }: NewIngest): void {
  if (answer) answers.set(id, { fingerprint: answer.fingerprint, heldUntilMs: now().getTime() + answer.leaseMs })
}
