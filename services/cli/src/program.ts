import { Command, Option } from 'commander'
import { StartError } from '@sluice/runtime/start-error'
import { importCommand } from './import.ts'
import { ingestsCommand } from './ingests.ts'
import { readCount, readNumber } from './option-values.ts'
import { printTable } from './print.ts'
import { replayCommand } from './replay.ts'

/** What a server is made of takes a second and 90 MB to load: only commands that need it do. */
const server = {
  runtime: () => import('@sluice/runtime'),
  up: () => import('./up.ts'),
  migrate: () => import('./migrate.ts'),
  tokens: () => import('./tokens.ts'),
  oauth: () => import('./oauth.ts'),
  doctor: () => import('./doctor.ts'),
}

const program = new Command('sluice')
  .description('Brings images into catalogues: every image lands once, in the right place, in the right order.')
  .addHelpText('after', '\nSettings come from the environment; "sluice config" lists them.')
  .showHelpAfterError('(add --help for help)')
  .enablePositionalOptions()

program
  .command('up')
  .description('run everything in one process; without servers, on an embedded default')
  .option('--no-demo', 'do not bring in sample images on the first run')
  .action(async (options) => (await server.up()).runUp(options))

program
  .command('migrate')
  .description('bring the database to the schema of this version; safe to repeat')
  .action(async () => (await server.migrate()).runMigrate())

const token = program.command('token').description('create, list and revoke tokens')
token
  .command('create')
  .description('make a token and show it, once')
  .requiredOption('--name <name>', 'what it is for')
  .addOption(new Option('--role <role>', 'what it may do').choices(['admin', 'writer', 'reader']).default('writer'))
  .option('--days <days>', 'how long it is valid; for ever when not given')
  .action(async (options) => (await server.tokens()).createTokenCommand(options))
token
  .command('list')
  .description('show all tokens, without their secrets')
  .action(async () => (await server.tokens()).listTokensCommand())
token
  .command('revoke')
  .description('make a token useless, at once')
  .argument('<id>', 'as "token list" shows it')
  .action(async (id) => (await server.tokens()).revokeTokenCommand(id))
token
  .command('oauth')
  .description('show the four OAuth 1.0a values of a token')
  .argument('<id>', 'as "token list" shows it')
  .option('--public-key <file>', 'check RSA-SHA1 signatures of the token with this RSA public key (PEM)')
  .action(async (id, options) => (await server.oauth()).oauthCommand(id, options))

program
  .command('doctor')
  .description('look whether all that is stored, known and promised fits together; changes nothing unless told to')
  .option('--repair', 'mend what can be mended safely')
  .option('--json', 'report for programs')
  .option('--limit <n>', 'findings of each kind that are taken up in one run', readCount(100_000), 1_000)
  .option('--grace <minutes>', 'leave alone what is younger, or marked for less', readNumber(0, 525_600), 60)
  .option('--force', 'remove what no row speaks of, even if it is most of what is stored')
  .addHelpText('after', '\nExit codes: 0 all is well, 1 findings are left, 2 it could not look.')
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .action(async (options) => (await server.doctor()).doctorCommand(options))

program.addCommand(importCommand())
program.addCommand(ingestsCommand())
program.addCommand(replayCommand())

program
  .command('config')
  .description('list the variables of the environment that Sluice reads')
  .action(async () => {
    const { describeVariables } = await server.runtime()
    printTable(
      ['variable', 'default', 'meaning'],
      describeVariables().map(({ name, byDefault, meaning }) => [name, byDefault, meaning]),
    )
  })

await program.parseAsync().catch((error: unknown) => {
  if (!(error instanceof StartError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
})
