// Package appliance is the house of Sallyport: the library that all daemons are wired from. It has no code of its own,
// no main, and nothing in it keeps state between two of its users.
//
// # Floors
//
// A package is a room: one noun of the domain, one owner, its rules as pure functions with its SQL beside them. Imports
// only go down. The test in house refuses anything else and says why.
//
//	floor 5  doors          api (visitor, kiosk, staff, setup), link
//	floor 4  crossings      sfu, signaling, relay, recorder, facewatch, replica, central, split, names
//	floor 3  capabilities   visits, messages, photos, calls, recordings, notices
//	floor 2  facts          facility, policy, people, access, schedule, moderation, wallet
//	floor 1  ground works   store, outbox, audit, vault, reel, grant, linkclient, unit, logs, meter, entry
//	floor 0  foundation     fault, ident, clock, money, phone, locale, linkspec, record
//
// The street, daemons, is outside and the only place that wires. The crossings stand beside floors 2 and 3: they carry
// media and replication and never see the store or a person's data. The doors never see a crossing.
//
// # One booking through the house
//
// A door reads the request and asks one room. The room gathers facts in a View, decides by a pure rule, and writes the
// fact, its audit row and its outbox rows in one Update. The door answers after the commit. Notices and the central site
// hear of it from the outbox, never before.
//
// # Glossary
//
// One word for one thing, the same in SQL, Go, JSON and on screen.
//
//	inmate      a person in custody, with a permanent number (room people)
//	visitor     an account holder outside, 18 or older (room people)
//	staff       clerk, moderator, monitor, investigator, administrator (room access)
//	contact     an approved relationship of one outside person with one inmate, a pair (room people)
//	party       everybody on the visitor's side of one visit; the main caller leads it (room visits)
//	seat        one endpoint's place in a call (room calls)
//	template    the weekly pattern of sessions (room schedule)
//	slot        one start time of a session, with a capacity (room schedule)
//	hold        a reservation that ends by itself (room schedule)
//	visit       people, slots, class and state of one booking (room visits)
//	class       social, onsite, in_person, official, privileged; fixed for a visit's life (room visits)
//	call        the media session of a visit (room calls)
//	recording   the sealed media log of a call; a privileged call has none (room recordings)
//	restriction a dated limit on a person, an inmate or a pair (room people)
//	case        an item that waits for a person's decision (room moderation)
//	claim       a staff member's lease on a case (room moderation)
//	verdict     the decision on a case (room moderation)
//	rule        a row of the policy table: typed, dated, scoped (room policy)
//	tariff      dated prices (room wallet)
//	wallet      a visitor's money with the facility (room wallet)
//	notice      what a person is told, by whichever way (room notices)
//	grant       a signed permission to take a seat (room grant)
//	reel        the format of a recording on disk (room reel)
//	record      what replication carries (room record)
//	blob        a sealed file under the hash of its content (room vault)
package appliance
