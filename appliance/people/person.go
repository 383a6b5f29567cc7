package people

import (
	"sallyport/appliance/audit"
	"sallyport/appliance/fault"
	"sallyport/appliance/ident"
	"sallyport/appliance/store"
)

// Person is somebody whom a visitor brings and who has no account, often a child.
type Person struct {
	ID           ident.Person
	Visitor      ident.Visitor
	First, Last  string
	Born         string
	Relationship string
}

// Name is first and last name.
func (p Person) Name() string { return p.First + " " + p.Last }

// Age is the person's age on a date of the facility.
func (p Person) Age(on string) int { return Age(p.Born, on) }

func scanPerson(r *store.Rows) (p Person, err error) {
	err = r.Scan(&p.ID, &p.Visitor, &p.First, &p.Last, &p.Born, &p.Relationship)
	return p, err
}

// Persons lists the persons whom a visitor may bring.
func (p *People) Persons(tx *store.Tx, v ident.Visitor) ([]Person, error) {
	return store.All(tx, scanPerson, `SELECT id, visitor, first, last, born, relationship FROM person
		WHERE visitor = ? AND removed_at IS NULL ORDER BY born, id`, v)
}

// AddPerson puts a person on a visitor's list. The same person twice is a Conflict.
func (p *People) AddPerson(tx *store.Tx, by ident.Actor, n Person) (Person, error) {
	const op = "people.AddPerson"
	if err := checkNames(op, n.First, n.Last, n.Born, tx.Now()); err != nil {
		return Person{}, err
	}
	var have int
	if err := tx.Row(`SELECT count(*) FROM person WHERE visitor = ? AND removed_at IS NULL`, n.Visitor).Scan(&have); err != nil {
		return Person{}, err
	}
	if have >= personsMax {
		return Person{}, fault.New(op, fault.Full, "There are too many people on your list. Take somebody off first.").WithCode("party.listFull")
	}
	n.ID = ident.New[ident.Person]()
	n.First, n.Last = clean(n.First), clean(n.Last)
	err := tx.Exec(`INSERT INTO person (id, visitor, first, last, folded, born, relationship, created_at) VALUES (?,?,?,?,?,?,?,?)`,
		n.ID, n.Visitor, n.First, n.Last, fold(n.Name()), n.Born, clean(n.Relationship), store.Ms(tx.Now()))
	if fault.Is(err, fault.Conflict) {
		return Person{}, fault.New(op, fault.Conflict, "This person is on your list already.").WithCode("party.twice")
	}
	if err != nil {
		return Person{}, err
	}
	return n, audit.Record(tx, by, "person.add", string(n.ID))
}

// RemovePerson takes a person off a visitor's list; past visits keep the name.
func (p *People) RemovePerson(tx *store.Tx, by ident.Actor, v ident.Visitor, id ident.Person) error {
	n, err := tx.ExecN(`UPDATE person SET removed_at = ? WHERE id = ? AND visitor = ? AND removed_at IS NULL`, store.Ms(tx.Now()), id, v)
	if err != nil {
		return err
	}
	if n == 0 {
		return fault.New("people.RemovePerson", fault.NotFound, "This person is not on your list.").WithCode("not_found")
	}
	return audit.Record(tx, by, "person.remove", string(id))
}

// personsMax bounds a visitor's list of persons; a guard against abuse, far above any family.
const personsMax = 40
