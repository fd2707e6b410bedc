# One image for every service; the command picks which. There is no build step: Node runs the sources, but only outside
# node_modules, so the image holds the workspace as it is and not what `pnpm deploy` would make of it.

FROM node:26.10.0-trixie-slim AS install
WORKDIR /app
COPY . .
# pnpm-workspace.yaml brings the rules for the supply chain: exact versions, a minimum age, and who may run a build script.
RUN --mount=type=cache,id=sluice-pnpm,target=/pnpm/store \
    CI=true npx -y pnpm@12.21.0 install --prod --frozen-lockfile --store-dir /pnpm/store

FROM node:26.10.0-trixie-slim
LABEL org.opencontainers.image.title="Sluice" \
      org.opencontainers.image.description="A queue-driven media ingestion pipeline for catalogues" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production
# A new volume takes the owner of the directory that it covers.
RUN mkdir /staging && chown node:node /staging
WORKDIR /app
# Owned by root: the services cannot change what they run.
COPY --from=install /app /app
# By number, so that an orchestrator can see that it is not root. It is `node` of the base image.
USER 1000:1000
EXPOSE 8080 8081 8082
CMD ["node", "services/cli/src/main.ts", "--help"]
