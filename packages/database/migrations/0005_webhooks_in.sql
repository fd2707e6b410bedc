CREATE TABLE "hook_items" (
	"source_id" uuid NOT NULL,
	"key" text NOT NULL,
	"ingest_id" uuid NOT NULL,
	CONSTRAINT "hook_items_source_id_key_pk" PRIMARY KEY("source_id","key")
);
--> statement-breakpoint
CREATE TABLE "hook_sources" (
	"id" uuid PRIMARY KEY NOT NULL,
	"tenant_id" uuid NOT NULL,
	"token_id" uuid NOT NULL,
	"name" text NOT NULL,
	"verifier" json NOT NULL,
	"secrets" json NOT NULL,
	"mapping" json NOT NULL,
	"enabled" boolean NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "hook_sources_tenant_id" UNIQUE("tenant_id","id")
);
--> statement-breakpoint
CREATE TABLE "hook_subjects" (
	"source_id" uuid NOT NULL,
	"subject" text NOT NULL,
	"version" text NOT NULL,
	CONSTRAINT "hook_subjects_source_id_subject_pk" PRIMARY KEY("source_id","subject")
);
--> statement-breakpoint
CREATE TABLE "inbox" (
	"id" uuid PRIMARY KEY NOT NULL,
	"number" bigint GENERATED ALWAYS AS IDENTITY (sequence name "inbox_number_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"tenant_id" uuid NOT NULL,
	"source_id" uuid NOT NULL,
	"key" text NOT NULL,
	"said_id" text,
	"headers" json NOT NULL,
	"body" "bytea" NOT NULL,
	"state" text NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"claimed_until" timestamp (3) with time zone,
	"results" json DEFAULT '[]'::json NOT NULL,
	"problem_code" text,
	"problem_detail" text,
	"received_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"processed_at" timestamp (3) with time zone,
	CONSTRAINT "inbox_number_unique" UNIQUE("number"),
	CONSTRAINT "inbox_key" UNIQUE("source_id","key"),
	CONSTRAINT "inbox_state" CHECK ("inbox"."state" in ('received', 'processed', 'quarantined', 'ignored'))
);
--> statement-breakpoint
ALTER TABLE "hook_items" ADD CONSTRAINT "hook_items_source_id_hook_sources_id_fk" FOREIGN KEY ("source_id") REFERENCES "public"."hook_sources"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "hook_sources" ADD CONSTRAINT "hook_sources_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "hook_subjects" ADD CONSTRAINT "hook_subjects_source_id_hook_sources_id_fk" FOREIGN KEY ("source_id") REFERENCES "public"."hook_sources"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "inbox" ADD CONSTRAINT "inbox_source" FOREIGN KEY ("tenant_id","source_id") REFERENCES "public"."hook_sources"("tenant_id","id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "inbox_by_source" ON "inbox" USING btree ("source_id","id");--> statement-breakpoint
CREATE INDEX "inbox_said_ids" ON "inbox" USING btree ("source_id","said_id") WHERE said_id is not null;--> statement-breakpoint
CREATE INDEX "inbox_open" ON "inbox" USING btree ("number") WHERE state = 'received';--> statement-breakpoint
CREATE INDEX "inbox_by_age" ON "inbox" USING btree ("received_at") WHERE state <> 'received';