CREATE TABLE "uploads" (
	"id" uuid PRIMARY KEY NOT NULL,
	"tenant_id" uuid NOT NULL,
	"token_id" uuid NOT NULL,
	"state" text DEFAULT 'open' NOT NULL,
	"bytes" bigint NOT NULL,
	"declared_type" text,
	"file_name" text,
	"sha256" text,
	"product_id" uuid,
	"target" json,
	"bucket_key" text,
	"metadata" json,
	"parts" json DEFAULT '[]'::json NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"taken_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"settled_at" timestamp (3) with time zone,
	CONSTRAINT "uploads_state" CHECK ("uploads"."state" in ('open', 'completed', 'expired', 'cancelled'))
);
--> statement-breakpoint
ALTER TABLE "ingests" DROP CONSTRAINT "ingests_source";--> statement-breakpoint
ALTER TABLE "ingests" ADD COLUMN "staged_keys" json;--> statement-breakpoint
ALTER TABLE "ingests" ADD COLUMN "promised_digest" text;--> statement-breakpoint
ALTER TABLE "uploads" ADD CONSTRAINT "uploads_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "uploads_unsettled" ON "uploads" USING btree ("taken_at") WHERE settled_at is null;--> statement-breakpoint
CREATE INDEX "uploads_unsettled_of_tenant" ON "uploads" USING btree ("tenant_id") WHERE settled_at is null;--> statement-breakpoint
CREATE INDEX "uploads_by_age" ON "uploads" USING btree ("settled_at") WHERE settled_at is not null;--> statement-breakpoint
CREATE INDEX "ingests_uploaded" ON "ingests" USING btree ("finished_at") WHERE staged_keys is not null and state not in ('committed', 'rejected');--> statement-breakpoint
ALTER TABLE "ingests" ADD CONSTRAINT "ingests_source" CHECK (case source_kind when 'staged' then staged_key is not null and digest is not null and bytes is not null when 'file' then source_file_id is not null when 'url' then source_url is not null when 'uploaded' then staged_keys is not null and bytes is not null else false end);