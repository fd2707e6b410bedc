CREATE TABLE "attributes" (
	"tenant_id" uuid NOT NULL,
	"code" text NOT NULL,
	"allowed_extensions" json,
	"file_bytes_max" bigint,
	"scopable" boolean NOT NULL,
	"localizable" boolean NOT NULL,
	"role" text,
	CONSTRAINT "attributes_tenant_id_code_pk" PRIMARY KEY("tenant_id","code")
);
--> statement-breakpoint
CREATE TABLE "channels" (
	"tenant_id" uuid NOT NULL,
	"code" text NOT NULL,
	"locales" json NOT NULL,
	CONSTRAINT "channels_tenant_id_code_pk" PRIMARY KEY("tenant_id","code")
);
--> statement-breakpoint
CREATE TABLE "hierarchies" (
	"id" uuid PRIMARY KEY NOT NULL,
	"number" bigint GENERATED ALWAYS AS IDENTITY (sequence name "hierarchies_number_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"tenant_id" uuid NOT NULL,
	"name" text NOT NULL,
	"slug" text,
	"description" text,
	"locales" json NOT NULL,
	"owner" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "hierarchies_number_unique" UNIQUE("number"),
	CONSTRAINT "hierarchies_tenant_id" UNIQUE("tenant_id","id"),
	CONSTRAINT "hierarchies_owner" CHECK ("hierarchies"."owner" in ('store', 'organization'))
);
--> statement-breakpoint
CREATE TABLE "image_store_values" (
	"image_id" uuid NOT NULL,
	"store" integer NOT NULL,
	"label" text,
	"position" integer,
	"excluded" boolean,
	CONSTRAINT "image_store_values_image_id_store_pk" PRIMARY KEY("image_id","store")
);
--> statement-breakpoint
CREATE TABLE "issued_keys" (
	"sha256" text PRIMARY KEY NOT NULL,
	"token_id" uuid NOT NULL,
	"kind" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "issued_keys_kind" CHECK ("issued_keys"."kind" in ('access', 'refresh'))
);
--> statement-breakpoint
CREATE TABLE "nodes" (
	"id" uuid PRIMARY KEY NOT NULL,
	"number" bigint GENERATED ALWAYS AS IDENTITY (sequence name "nodes_number_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"tenant_id" uuid NOT NULL,
	"hierarchy_id" uuid NOT NULL,
	"parent_id" uuid,
	"name" text NOT NULL,
	"slug" text,
	"description" text,
	"locales" json NOT NULL,
	"curated_products" json NOT NULL,
	"sort_order" integer,
	"owner" text NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "nodes_number_unique" UNIQUE("number"),
	CONSTRAINT "nodes_hierarchy_id" UNIQUE("hierarchy_id","id"),
	CONSTRAINT "nodes_owner" CHECK ("nodes"."owner" in ('store', 'organization'))
);
--> statement-breakpoint
CREATE TABLE "store_views" (
	"tenant_id" uuid NOT NULL,
	"number" integer NOT NULL,
	"code" text NOT NULL,
	"name" text NOT NULL,
	"website" text NOT NULL,
	CONSTRAINT "store_views_tenant_id_number_pk" PRIMARY KEY("tenant_id","number"),
	CONSTRAINT "store_views_code" UNIQUE("tenant_id","code")
);
--> statement-breakpoint
ALTER TABLE "products" DROP CONSTRAINT "products_sku";--> statement-breakpoint
ALTER TABLE "product_image_roles" DROP CONSTRAINT "product_image_roles_product_id_role_pk";--> statement-breakpoint
ALTER TABLE "product_image_roles" ALTER COLUMN "image_id" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "product_image_roles" ADD COLUMN "store" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "product_image_roles" ADD CONSTRAINT "product_image_roles_product_id_store_role_pk" PRIMARY KEY("product_id","store","role");--> statement-breakpoint
ALTER TABLE "files" ADD COLUMN "code" text;--> statement-breakpoint
UPDATE files SET code = concat_ws('/', substr(hash, 1, 1), substr(hash, 2, 1), substr(hash, 3, 1), substr(hash, 4, 1),
	hash || '_' || left(regexp_replace(coalesce(name, 'image'), '[^A-Za-z0-9.]', '_', 'g'), 100))
	FROM (SELECT id AS file_id, md5(id::text) AS hash FROM files) AS hashed WHERE file_id = id;--> statement-breakpoint
ALTER TABLE "files" ALTER COLUMN "code" SET NOT NULL;--> statement-breakpoint
ALTER TABLE "ingests" ADD COLUMN "reuses_file" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "ingests" ADD COLUMN "target" json;--> statement-breakpoint
UPDATE ingests SET target = json_build_object('kind', 'attach', 'placement', json_build_object(
	'name', image_name, 'label', coalesce(label, ''), 'excluded', coalesce(excluded, false), 'rank', rank, 'position', null,
	'roles', coalesce(roles, '[]'::json), 'main', main, 'replacesMain', null, 'store', null, 'slot', null))
	WHERE product_id IS NOT NULL;--> statement-breakpoint
ALTER TABLE "ingests" ADD COLUMN "answer_fingerprint" text;--> statement-breakpoint
ALTER TABLE "ingests" ADD COLUMN "answer_held_until" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "product_images" ADD COLUMN "has_global_values" boolean DEFAULT true NOT NULL;--> statement-breakpoint
ALTER TABLE "product_images" ADD COLUMN "slot" text;--> statement-breakpoint
ALTER TABLE "products" ADD COLUMN "kind" text DEFAULT 'product' NOT NULL;--> statement-breakpoint
ALTER TABLE "products" ADD COLUMN "status" text DEFAULT 'live' NOT NULL;--> statement-breakpoint
ALTER TABLE "products" ADD COLUMN "owner" text DEFAULT 'store' NOT NULL;--> statement-breakpoint
ALTER TABLE "products" ADD COLUMN "websites" json;--> statement-breakpoint
ALTER TABLE "products" ADD COLUMN "accepts_images" boolean DEFAULT true NOT NULL;--> statement-breakpoint
ALTER TABLE "products" ADD COLUMN "extra" json DEFAULT '{}'::json NOT NULL;--> statement-breakpoint
ALTER TABLE "tokens" ADD COLUMN "number" bigint NOT NULL GENERATED ALWAYS AS IDENTITY (sequence name "tokens_number_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1);--> statement-breakpoint
ALTER TABLE "tokens" ADD COLUMN "public_key" text;--> statement-breakpoint
ALTER TABLE "attributes" ADD CONSTRAINT "attributes_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "channels" ADD CONSTRAINT "channels_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "hierarchies" ADD CONSTRAINT "hierarchies_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "image_store_values" ADD CONSTRAINT "image_store_values_image_id_product_images_id_fk" FOREIGN KEY ("image_id") REFERENCES "public"."product_images"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "issued_keys" ADD CONSTRAINT "issued_keys_token_id_tokens_id_fk" FOREIGN KEY ("token_id") REFERENCES "public"."tokens"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "nodes" ADD CONSTRAINT "nodes_hierarchy" FOREIGN KEY ("tenant_id","hierarchy_id") REFERENCES "public"."hierarchies"("tenant_id","id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "nodes" ADD CONSTRAINT "nodes_parent" FOREIGN KEY ("hierarchy_id","parent_id") REFERENCES "public"."nodes"("hierarchy_id","id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "store_views" ADD CONSTRAINT "store_views_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "hierarchies_newest" ON "hierarchies" USING btree ("tenant_id","number");--> statement-breakpoint
CREATE INDEX "issued_keys_by_token" ON "issued_keys" USING btree ("token_id","created_at");--> statement-breakpoint
CREATE INDEX "nodes_by_parent" ON "nodes" USING btree ("hierarchy_id","parent_id");--> statement-breakpoint
CREATE UNIQUE INDEX "nodes_name" ON "nodes" USING btree ("hierarchy_id",coalesce(parent_id, hierarchy_id),"name");--> statement-breakpoint
CREATE UNIQUE INDEX "nodes_slug" ON "nodes" USING btree ("hierarchy_id",coalesce(parent_id, hierarchy_id),"slug");--> statement-breakpoint
CREATE INDEX "files_in_order" ON "files" USING btree ("tenant_id","number");--> statement-breakpoint
CREATE INDEX "ingests_unanswered" ON "ingests" USING btree ("tenant_id","answer_fingerprint") WHERE answer_fingerprint is not null;--> statement-breakpoint
CREATE INDEX "product_image_roles_by_image" ON "product_image_roles" USING btree ("image_id");--> statement-breakpoint
CREATE INDEX "product_images_by_file" ON "product_images" USING btree ("file_id");--> statement-breakpoint
CREATE INDEX "products_newest" ON "products" USING btree ("tenant_id","number");--> statement-breakpoint
ALTER TABLE "files" ADD CONSTRAINT "files_code" UNIQUE("tenant_id","code");--> statement-breakpoint
ALTER TABLE "product_images" ADD CONSTRAINT "product_images_slot" UNIQUE("product_id","slot");--> statement-breakpoint
ALTER TABLE "products" ADD CONSTRAINT "products_sku" UNIQUE("tenant_id","kind","sku");--> statement-breakpoint
ALTER TABLE "tokens" ADD CONSTRAINT "tokens_number_unique" UNIQUE("number");--> statement-breakpoint
ALTER TABLE "product_image_roles" ADD CONSTRAINT "product_image_roles_global" CHECK ("product_image_roles"."store" <> 0 or "product_image_roles"."image_id" is not null);--> statement-breakpoint
ALTER TABLE "products" ADD CONSTRAINT "products_kind" CHECK ("products"."kind" in ('product', 'model'));--> statement-breakpoint
ALTER TABLE "products" ADD CONSTRAINT "products_status" CHECK ("products"."status" in ('live', 'draft'));--> statement-breakpoint
ALTER TABLE "products" ADD CONSTRAINT "products_owner" CHECK ("products"."owner" in ('store', 'organization'));