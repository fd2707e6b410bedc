ALTER TABLE "ingests" DROP COLUMN "image_name";--> statement-breakpoint
ALTER TABLE "ingests" DROP COLUMN "label";--> statement-breakpoint
ALTER TABLE "ingests" DROP COLUMN "excluded";--> statement-breakpoint
ALTER TABLE "ingests" DROP COLUMN "rank";--> statement-breakpoint
ALTER TABLE "ingests" DROP COLUMN "roles";--> statement-breakpoint
ALTER TABLE "ingests" DROP COLUMN "main";