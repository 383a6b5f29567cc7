-- A new member of staff makes password and second factor by a code; until then the account has neither ('' and x'').
CREATE TABLE invitation (
  staff      TEXT PRIMARY KEY REFERENCES staff (id),
  hash       TEXT NOT NULL,                  -- of the code
  expires_at INTEGER NOT NULL
) STRICT;
-- A PIN that staff have issued is good for one sign-in until then; one that the inmate chose has no end.
ALTER TABLE inmate_pin ADD COLUMN issued_until INTEGER;
