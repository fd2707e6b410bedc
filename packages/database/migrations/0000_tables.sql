CREATE TABLE "blobs" (
	"tenant_id" uuid NOT NULL,
	"digest" text NOT NULL,
	"facts" json NOT NULL,
	"media_type" text NOT NULL,
	"bytes" bigint NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"last_seen_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "blobs_tenant_id_digest_pk" PRIMARY KEY("tenant_id","digest")
);
--> statement-breakpoint
CREATE TABLE "files" (
	"id" uuid PRIMARY KEY NOT NULL,
	"number" bigint GENERATED ALWAYS AS IDENTITY (sequence name "files_number_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"tenant_id" uuid NOT NULL,
	"digest" text NOT NULL,
	"name" text,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "files_number_unique" UNIQUE("number"),
	CONSTRAINT "files_tenant_id" UNIQUE("tenant_id","id")
);
--> statement-breakpoint
CREATE TABLE "idempotency_keys" (
	"tenant_id" uuid NOT NULL,
	"key" text NOT NULL,
	"owner_id" uuid NOT NULL,
	"fingerprint" text,
	"lease_until" timestamp (3) with time zone NOT NULL,
	"answer" json,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "idempotency_keys_tenant_id_key_pk" PRIMARY KEY("tenant_id","key")
);
--> statement-breakpoint
CREATE TABLE "image_names" (
	"product_id" uuid NOT NULL,
	"name" text NOT NULL,
	"last_number" integer NOT NULL,
	CONSTRAINT "image_names_product_id_name_pk" PRIMARY KEY("product_id","name")
);
--> statement-breakpoint
CREATE TABLE "ingest_timeline" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "ingest_timeline_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"ingest_id" uuid NOT NULL,
	"at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"step" text NOT NULL,
	"attempt" integer NOT NULL,
	"outcome" text NOT NULL,
	"duration_ms" bigint,
	"detail" text
);
--> statement-breakpoint
CREATE TABLE "ingests" (
	"id" uuid PRIMARY KEY NOT NULL,
	"tenant_id" uuid NOT NULL,
	"token_id" uuid NOT NULL,
	"state" text DEFAULT 'received' NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"epoch" integer DEFAULT 0 NOT NULL,
	"source_kind" text NOT NULL,
	"source_file_id" uuid,
	"staged_key" text,
	"digest" text,
	"bytes" bigint,
	"declared_type" text,
	"type_must_match" boolean,
	"file_name" text,
	"product_id" uuid,
	"image_name" text,
	"label" text,
	"excluded" boolean,
	"rank" integer,
	"roles" json,
	"main" boolean,
	"result_file_id" uuid,
	"result_image_id" uuid,
	"problem_code" text,
	"problem_detail" text,
	"problem_details" json,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"finished_at" timestamp (3) with time zone,
	CONSTRAINT "ingests_state" CHECK ("ingests"."state" in ('received', 'parked', 'running', 'committed', 'rejected', 'failed')),
	CONSTRAINT "ingests_source" CHECK (case source_kind when 'staged' then staged_key is not null and digest is not null and bytes is not null when 'file' then source_file_id is not null else false end)
);
--> statement-breakpoint
CREATE TABLE "outbox" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "outbox_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"ingest_id" uuid NOT NULL,
	"epoch" integer NOT NULL,
	"claimed_until" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "product_image_roles" (
	"product_id" uuid NOT NULL,
	"role" text NOT NULL,
	"image_id" uuid NOT NULL,
	CONSTRAINT "product_image_roles_product_id_role_pk" PRIMARY KEY("product_id","role")
);
--> statement-breakpoint
CREATE TABLE "product_images" (
	"id" uuid PRIMARY KEY NOT NULL,
	"number" bigint GENERATED ALWAYS AS IDENTITY (sequence name "product_images_number_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"tenant_id" uuid NOT NULL,
	"product_id" uuid NOT NULL,
	"file_id" uuid NOT NULL,
	"name" text NOT NULL,
	"position" integer NOT NULL,
	"label" text NOT NULL,
	"excluded" boolean NOT NULL,
	"ingest_id" uuid NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "product_images_number_unique" UNIQUE("number"),
	CONSTRAINT "product_images_ingest" UNIQUE("ingest_id"),
	CONSTRAINT "product_images_name" UNIQUE("product_id","name"),
	CONSTRAINT "product_images_product_id" UNIQUE("product_id","id")
);
--> statement-breakpoint
CREATE TABLE "products" (
	"id" uuid PRIMARY KEY NOT NULL,
	"number" bigint GENERATED ALWAYS AS IDENTITY (sequence name "products_number_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"tenant_id" uuid NOT NULL,
	"sku" text NOT NULL,
	"title" text,
	"version" integer DEFAULT 1 NOT NULL,
	"image_count" integer DEFAULT 0 NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "products_number_unique" UNIQUE("number"),
	CONSTRAINT "products_sku" UNIQUE("tenant_id","sku"),
	CONSTRAINT "products_tenant_id" UNIQUE("tenant_id","id")
);
--> statement-breakpoint
CREATE TABLE "tenants" (
	"id" uuid PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "tenants_name_unique" UNIQUE("name")
);
--> statement-breakpoint
CREATE TABLE "tokens" (
	"id" uuid PRIMARY KEY NOT NULL,
	"tenant_id" uuid NOT NULL,
	"name" text NOT NULL,
	"role" text NOT NULL,
	"sha256" text NOT NULL,
	"prefix" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp (3) with time zone,
	"revoked_at" timestamp (3) with time zone,
	CONSTRAINT "tokens_sha256_unique" UNIQUE("sha256"),
	CONSTRAINT "tokens_role" CHECK ("tokens"."role" in ('admin', 'writer', 'reader'))
);
--> statement-breakpoint
ALTER TABLE "blobs" ADD CONSTRAINT "blobs_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "files" ADD CONSTRAINT "files_blob" FOREIGN KEY ("tenant_id","digest") REFERENCES "public"."blobs"("tenant_id","digest") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "idempotency_keys" ADD CONSTRAINT "idempotency_keys_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "image_names" ADD CONSTRAINT "image_names_product_id_products_id_fk" FOREIGN KEY ("product_id") REFERENCES "public"."products"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "ingest_timeline" ADD CONSTRAINT "ingest_timeline_ingest_id_ingests_id_fk" FOREIGN KEY ("ingest_id") REFERENCES "public"."ingests"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "ingests" ADD CONSTRAINT "ingests_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "product_image_roles" ADD CONSTRAINT "product_image_roles_image" FOREIGN KEY ("product_id","image_id") REFERENCES "public"."product_images"("product_id","id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "product_images" ADD CONSTRAINT "product_images_product" FOREIGN KEY ("tenant_id","product_id") REFERENCES "public"."products"("tenant_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "product_images" ADD CONSTRAINT "product_images_file" FOREIGN KEY ("tenant_id","file_id") REFERENCES "public"."files"("tenant_id","id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "products" ADD CONSTRAINT "products_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "tokens" ADD CONSTRAINT "tokens_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "files_by_digest" ON "files" USING btree ("tenant_id","digest");--> statement-breakpoint
CREATE INDEX "idempotency_keys_by_age" ON "idempotency_keys" USING btree ("created_at");--> statement-breakpoint
CREATE INDEX "ingest_timeline_by_ingest" ON "ingest_timeline" USING btree ("ingest_id","id");--> statement-breakpoint
CREATE INDEX "ingests_by_tenant" ON "ingests" USING btree ("tenant_id","id");--> statement-breakpoint
CREATE INDEX "ingests_by_tenant_state" ON "ingests" USING btree ("tenant_id","state","id");--> statement-breakpoint
CREATE INDEX "ingests_by_product" ON "ingests" USING btree ("product_id","id");--> statement-breakpoint
CREATE INDEX "ingests_open" ON "ingests" USING btree ("updated_at") WHERE state in ('received', 'running');--> statement-breakpoint
CREATE INDEX "ingests_unfinished" ON "ingests" USING btree ("created_at") WHERE finished_at is null;--> statement-breakpoint
CREATE INDEX "ingests_staged" ON "ingests" USING btree ("staged_key") WHERE state not in ('committed', 'rejected');--> statement-breakpoint
CREATE INDEX "outbox_by_ingest" ON "outbox" USING btree ("ingest_id");--> statement-breakpoint
CREATE INDEX "product_images_order" ON "product_images" USING btree ("product_id","position","number");--> statement-breakpoint
CREATE INDEX "tokens_by_tenant" ON "tokens" USING btree ("tenant_id","created_at");