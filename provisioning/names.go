package provisioning

// Names are the host names of each TLS credential of the site: tls-visitor, tls-kiosk, tls-staff, tls-setup, tls-media and
// tls-turn. Whoever makes certificates makes them for these.
func (s *Site) Names() map[string][]string {
	z := s.Zones
	kiosk := []string{z.Kiosk.Name}
	if z.Tablet != nil {
		kiosk = append(kiosk, z.Tablet.Name)
	}
	return map[string][]string{
		"tls-visitor": {z.Internet.SiteName},
		"tls-kiosk":   kiosk,
		"tls-staff":   {z.Staff.Name},
		"tls-setup":   {z.Management.Name},
		"tls-media":   {z.Internet.MediaName, s.InmatesMedia(), s.StaffMedia()},
		"tls-turn":    {z.Internet.TURNName},
	}
}

// InmatesMedia is the one name of calls on kiosks and tablets; each zone's responder gives its own address for it.
func (s *Site) InmatesMedia() string { return mediaName(s.Zones.Kiosk.Name) }

// StaffMedia is the name of calls in the staff zone; the facility's name server must know it.
func (s *Site) StaffMedia() string { return mediaName(s.Zones.Staff.Name) }
