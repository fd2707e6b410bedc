CREATE TABLE "blob_removals" (
	"tenant_id" uuid NOT NULL,
	"digest" text NOT NULL,
	"marked_at" timestamp (3) with time zone,
	"begun_at" timestamp (3) with time zone,
	"ended_at" timestamp (3) with time zone,
	CONSTRAINT "blob_removals_tenant_id_digest_pk" PRIMARY KEY("tenant_id","digest")
);
--> statement-breakpoint
CREATE TABLE "examinations" (
	"kind" text PRIMARY KEY NOT NULL,
	"found" integer NOT NULL,
	"mended" bigint NOT NULL,
	"examined_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
ALTER TABLE "ingests" ADD COLUMN "postponed_because" text;--> statement-breakpoint
ALTER TABLE "ingests" ADD COLUMN "due_at" timestamp (3) with time zone;--> statement-breakpoint
CREATE INDEX "blob_removals_begun" ON "blob_removals" USING btree ("begun_at") WHERE begun_at is not null;--> statement-breakpoint
CREATE INDEX "blob_removals_ended" ON "blob_removals" USING btree ("ended_at") WHERE ended_at is not null;