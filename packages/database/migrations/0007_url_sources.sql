CREATE TABLE "url_sources" (
	"tenant_id" uuid NOT NULL,
	"url_sha256" text NOT NULL,
	"etag" text,
	"last_modified" text,
	"digest" text NOT NULL,
	"file_name" text,
	"fetched_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "url_sources_tenant_id_url_sha256_pk" PRIMARY KEY("tenant_id","url_sha256")
);
--> statement-breakpoint
ALTER TABLE "ingests" DROP CONSTRAINT "ingests_source";--> statement-breakpoint
ALTER TABLE "ingests" ADD COLUMN "source_url" text;--> statement-breakpoint
ALTER TABLE "url_sources" ADD CONSTRAINT "url_sources_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "url_sources_by_age" ON "url_sources" USING btree ("fetched_at");--> statement-breakpoint
ALTER TABLE "ingests" ADD CONSTRAINT "ingests_source" CHECK (case source_kind when 'staged' then staged_key is not null and digest is not null and bytes is not null when 'file' then source_file_id is not null when 'url' then source_url is not null else false end);