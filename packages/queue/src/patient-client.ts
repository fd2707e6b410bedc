import { Client } from 'pg'

type Callback = ((error: Error) => void) & ((error: null, client: Client) => void)

/**
 * Tells its pool of a failed connection after a while. A busy BullMQ worker asks again at once for every error but ECONNREFUSED:
 * while a server was starting up, that made 175 attempts per second, and as many errors.
 */
export function patientClient(waitMs: number): typeof Client {
  return class extends Client {
    override connect(): Promise<Client>
    override connect(callback: Callback): void
    override connect(callback?: Callback): Promise<Client> | void {
      if (!callback) return super.connect()
      super.connect((error: Error | null) => {
        if (error) setTimeout(() => callback(error), waitMs)
        else callback(null, this)
      })
    }
  }
}
