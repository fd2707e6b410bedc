INSERT INTO tenants (id, name) VALUES (gen_random_uuid(), 'default');
