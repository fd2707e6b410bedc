/** Why the process cannot start, in one sentence that says what to do. It is shown as it is, without a stack. */
export class StartError extends Error {
  override readonly name = 'StartError'

  constructor(sentence: string, cause?: unknown) {
    super(sentence, cause === undefined ? undefined : { cause })
  }
}
