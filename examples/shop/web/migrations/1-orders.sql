CREATE TABLE orders (id bigserial PRIMARY KEY, item text NOT NULL, state text NOT NULL, packed_by text, address text);
