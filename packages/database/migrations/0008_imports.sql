CREATE TABLE "import_products" (
	"import_id" uuid NOT NULL,
	"first_line" integer NOT NULL,
	"key" text NOT NULL,
	"product" text NOT NULL,
	"product_id" uuid,
	"state" text DEFAULT 'planned' NOT NULL,
	"planned_version" integer DEFAULT 0 NOT NULL,
	"prepared_version" integer,
	"settled_versions" integer DEFAULT 0 NOT NULL,
	"before" json,
	"problem" json,
	CONSTRAINT "import_products_import_id_first_line_pk" PRIMARY KEY("import_id","first_line"),
	CONSTRAINT "import_products_key" UNIQUE("import_id","key"),
	CONSTRAINT "import_products_state" CHECK ("import_products"."state" in ('planned', 'parked', 'prepared', 'settled', 'restored', 'changed_since', 'unrestorable'))
);
--> statement-breakpoint
CREATE TABLE "import_rows" (
	"import_id" uuid NOT NULL,
	"line" integer NOT NULL,
	"group_line" integer,
	"state" text NOT NULL,
	"action" text,
	"changes" json DEFAULT '[]'::json NOT NULL,
	"problem" json,
	"product" text,
	"source" json,
	"staged_key" text,
	"wishes" json DEFAULT '{}'::json NOT NULL,
	"product_id" uuid,
	"image_id" uuid,
	"ingest_id" uuid,
	"placement" json,
	CONSTRAINT "import_rows_import_id_line_pk" PRIMARY KEY("import_id","line"),
	CONSTRAINT "import_rows_state" CHECK ("import_rows"."state" in ('invalid', 'pending', 'parked', 'running', 'done', 'skipped', 'failed'))
);
--> statement-breakpoint
CREATE TABLE "imports" (
	"id" uuid PRIMARY KEY NOT NULL,
	"tenant_id" uuid NOT NULL,
	"token_id" uuid NOT NULL,
	"name" text NOT NULL,
	"mode" text NOT NULL,
	"on_error" text NOT NULL,
	"create_products" boolean NOT NULL,
	"park_ms" bigint NOT NULL,
	"state" text DEFAULT 'open' NOT NULL,
	"row_count" integer DEFAULT 0 NOT NULL,
	"plan_epoch" integer DEFAULT 0 NOT NULL,
	"plan_hash" text,
	"plan_is_binding" boolean DEFAULT false NOT NULL,
	"undo_force" boolean DEFAULT false NOT NULL,
	"faults_seen" integer DEFAULT 0 NOT NULL,
	"claimed_until" timestamp (3) with time zone,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"started_at" timestamp (3) with time zone,
	"finished_at" timestamp (3) with time zone,
	CONSTRAINT "imports_state" CHECK ("imports"."state" in ('open', 'planned', 'applying', 'stopping', 'stopped', 'finished', 'undoing', 'undone'))
);
--> statement-breakpoint
ALTER TABLE "import_products" ADD CONSTRAINT "import_products_import_id_imports_id_fk" FOREIGN KEY ("import_id") REFERENCES "public"."imports"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "import_rows" ADD CONSTRAINT "import_rows_import_id_imports_id_fk" FOREIGN KEY ("import_id") REFERENCES "public"."imports"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "imports" ADD CONSTRAINT "imports_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "import_products_by_state" ON "import_products" USING btree ("import_id","state","first_line");--> statement-breakpoint
CREATE INDEX "import_rows_by_product" ON "import_rows" USING btree ("import_id","group_line","line");--> statement-breakpoint
CREATE INDEX "import_rows_by_state" ON "import_rows" USING btree ("import_id","state","line");--> statement-breakpoint
CREATE INDEX "import_rows_ready" ON "import_rows" USING btree ("import_id","line") WHERE state = 'pending' and placement is not null;--> statement-breakpoint
CREATE INDEX "import_rows_staged" ON "import_rows" USING btree ("staged_key") WHERE staged_key is not null;--> statement-breakpoint
CREATE INDEX "imports_by_tenant" ON "imports" USING btree ("tenant_id","id");--> statement-breakpoint
CREATE INDEX "imports_working" ON "imports" USING btree ("claimed_until") WHERE state in ('applying', 'stopping', 'undoing');--> statement-breakpoint
CREATE INDEX "imports_idle" ON "imports" USING btree ("updated_at") WHERE state in ('open', 'planned', 'stopped', 'finished', 'undone');