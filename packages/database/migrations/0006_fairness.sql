CREATE TABLE "ingest_tallies" (
	"state" text PRIMARY KEY NOT NULL,
	"count" bigint NOT NULL,
	"upto" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "outbox_turns" (
	"lane" text NOT NULL,
	"tenant_id" uuid NOT NULL,
	"started" double precision NOT NULL,
	"ended" double precision NOT NULL,
	CONSTRAINT "outbox_turns_lane_tenant_id_pk" PRIMARY KEY("lane","tenant_id")
);
--> statement-breakpoint
DROP INDEX "ingests_unfinished";--> statement-breakpoint
ALTER TABLE "ingests" ADD COLUMN "lane" text DEFAULT 'interactive' NOT NULL;--> statement-breakpoint
ALTER TABLE "ingests" ADD COLUMN "parked_sku" text;--> statement-breakpoint
ALTER TABLE "ingests" ADD COLUMN "parked_until" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "outbox" ADD COLUMN "tenant_id" uuid;--> statement-breakpoint
UPDATE "outbox" SET "tenant_id" = "ingests"."tenant_id" FROM "ingests" WHERE "ingests"."id" = "outbox"."ingest_id";--> statement-breakpoint
DELETE FROM "outbox" WHERE "tenant_id" IS NULL;--> statement-breakpoint
ALTER TABLE "outbox" ALTER COLUMN "tenant_id" SET NOT NULL;--> statement-breakpoint
ALTER TABLE "outbox" ADD COLUMN "lane" text DEFAULT 'interactive' NOT NULL;--> statement-breakpoint
ALTER TABLE "outbox" ADD COLUMN "since" timestamp (3) with time zone DEFAULT now() NOT NULL;--> statement-breakpoint
ALTER TABLE "outbox" ADD COLUMN "again" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "tenants" ADD COLUMN "weight" integer DEFAULT 1 NOT NULL;--> statement-breakpoint
CREATE INDEX "ingests_waiting" ON "ingests" USING btree ("created_at") WHERE state in ('received', 'running');--> statement-breakpoint
CREATE INDEX "ingests_parked" ON "ingests" USING btree ("tenant_id","parked_sku") WHERE state = 'parked';--> statement-breakpoint
CREATE INDEX "ingests_parked_until" ON "ingests" USING btree ("parked_until") WHERE state = 'parked';--> statement-breakpoint
CREATE INDEX "ingests_over" ON "ingests" USING btree ("state","finished_at") WHERE finished_at is not null;--> statement-breakpoint
CREATE INDEX "ingests_staged_bytes" ON "ingests" USING btree ("finished_at","bytes") WHERE state not in ('committed', 'rejected');--> statement-breakpoint
CREATE INDEX "outbox_lines" ON "outbox" USING btree ("lane","tenant_id","since","id");