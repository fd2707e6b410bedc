import { Command, Option } from 'commander'
import { describeVariables, StartError } from '@sluice/runtime'
import { importCommand } from './import.ts'
import { runMigrate } from './migrate.ts'
import { oauthCommand } from './oauth.ts'
import { createTokenCommand, listTokensCommand, revokeTokenCommand } from './tokens.ts'
import { printTable } from './print.ts'
import { runUp } from './up.ts'

const program = new Command('sluice')
  .description('Brings images into catalogues: every image lands once, in the right place, in the right order.')
  .addHelpText('after', '\nSettings come from the environment; "sluice config" lists them.')
  .showHelpAfterError('(add --help for help)')

program
  .command('up')
  .description('run everything in one process; without servers, on an embedded default')
  .option('--no-demo', 'do not bring in sample images on the first run')
  .action(runUp)

program.command('migrate').description('bring the database to the schema of this version; safe to repeat').action(runMigrate)

const token = program.command('token').description('create, list and revoke tokens')
token
  .command('create')
  .description('make a token and show it, once')
  .requiredOption('--name <name>', 'what it is for')
  .addOption(new Option('--role <role>', 'what it may do').choices(['admin', 'writer', 'reader']).default('writer'))
  .option('--days <days>', 'how long it is valid; for ever when not given')
  .action(createTokenCommand)
token.command('list').description('show all tokens, without their secrets').action(listTokensCommand)
token
  .command('revoke')
  .description('make a token useless, at once')
  .argument('<id>', 'as "token list" shows it')
  .action(revokeTokenCommand)
token
  .command('oauth')
  .description('show the four OAuth 1.0a values of a token')
  .argument('<id>', 'as "token list" shows it')
  .option('--public-key <file>', 'check RSA-SHA1 signatures of the token with this RSA public key (PEM)')
  .action(oauthCommand)

program.addCommand(importCommand())

program
  .command('config')
  .description('list the variables of the environment that Sluice reads')
  .action(() =>
    printTable(
      ['variable', 'default', 'meaning'],
      describeVariables().map(({ name, byDefault, meaning }) => [name, byDefault, meaning]),
    ),
  )

await program.parseAsync().catch((error: unknown) => {
  if (!(error instanceof StartError)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
})
