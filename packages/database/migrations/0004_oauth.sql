CREATE INDEX "issued_keys_by_expiry" ON "issued_keys" USING btree ("expires_at");--> statement-breakpoint
CREATE TABLE "nonces" ("slot" smallint NOT NULL, "key" bytea NOT NULL, PRIMARY KEY ("slot", "key")) PARTITION BY LIST ("slot");--> statement-breakpoint
CREATE TABLE "nonces_0" PARTITION OF "nonces" FOR VALUES IN (0);--> statement-breakpoint
CREATE TABLE "nonces_1" PARTITION OF "nonces" FOR VALUES IN (1);--> statement-breakpoint
CREATE TABLE "nonces_2" PARTITION OF "nonces" FOR VALUES IN (2);--> statement-breakpoint
CREATE TABLE "nonces_3" PARTITION OF "nonces" FOR VALUES IN (3);
