package store

// Try runs a part of the transaction that may be refused without taking the rest with it: when fn returns an error, what
// fn did is rolled back, the error is returned, and the transaction goes on.
func (tx *Tx) Try(fn func() error) error {
	if err := tx.bind(nil); err != nil {
		return err
	}
	if err := tx.c.run("SAVEPOINT part"); err != nil {
		return wrap("store.Try", err)
	}
	err := fn()
	if tx.c.raw.AutoCommit() {
		return err // the whole transaction is gone already: full disk, I/O error
	}
	if err != nil {
		if rerr := tx.c.run("ROLLBACK TO part"); rerr != nil {
			return wrap("store.Try", rerr)
		}
	}
	if rerr := tx.c.run("RELEASE part"); rerr != nil && err == nil {
		return wrap("store.Try", rerr)
	}
	return err
}
