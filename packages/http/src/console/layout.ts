import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Caller } from '@sluice/core'
import { type Content, type Html, html } from './html.ts'

/** Where the board is to stand, and where the navigation leads. */
export const BOARD_PATH = '/queues'

export interface Page {
  readonly title: string
  readonly content: Content
  readonly status?: number
  /** The page asks for itself again after this time; there is no script that could. */
  readonly refreshSeconds?: number
}

export function sendPage(request: FastifyRequest, reply: FastifyReply, page: Page): FastifyReply {
  return reply
    .code(page.status ?? 200)
    .type('text/html; charset=utf-8')
    .send(layout(page, request.caller).text)
}

function layout({ title, content, refreshSeconds }: Page, caller: Caller | null): Html {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="robots" content="noindex" />
        ${refreshSeconds !== undefined && html`<meta http-equiv="refresh" content="${refreshSeconds}" />`}
        <title>${title} · Sluice</title>
        <link rel="icon" type="image/svg+xml" href="/console.svg" />
        <link rel="stylesheet" href="/console.css" />
      </head>
      <body>
        <header class="bar">
          <a class="brand" href="/"><img src="/console.svg" alt="" width="22" height="22" />Sluice</a>
          ${caller && navigation(caller)}
        </header>
        <main>${content}</main>
      </body>
    </html> `
}

function navigation({ name }: Caller): Html {
  return html`<nav>
      <a href="/">Ingests</a>
      <a href="${BOARD_PATH}/">Queues</a>
      <a href="/metrics">Metrics</a>
    </nav>
    <form class="who" method="post" action="/logout">
      <span title="The token you are logged in with">${name}</span><button>Log out</button>
    </form>`
}
