-- Cannot be undone: what is dropped is gone. The release that brings it says `reversible: false`.
ALTER TABLE orders DROP COLUMN address;
