ALTER TABLE "inbox" DROP CONSTRAINT "inbox_number_unique";--> statement-breakpoint
DROP INDEX "inbox_open";--> statement-breakpoint
CREATE INDEX "inbox_waiting" ON "inbox" USING btree ("source_id","number") WHERE state = 'received';