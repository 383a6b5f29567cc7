package seed

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"time"

	"sallyport/appliance/facility"
	"sallyport/appliance/policy"
	"sallyport/appliance/store"
)

// place is what differs between the two presets.
type place struct {
	name, zone, country, currency string
	support                       facility.Support
	phones                        []string // of the visitors, from ranges that belong to nobody
}

func places() map[string]place {
	return map[string]place{
		policy.CountyJail: {
			name: "Cedar County Jail", zone: "America/Chicago", country: "US", currency: "USD",
			support: facility.Support{Phone: "+1 312 555 0100", Hours: "Every day, 8:00am to 8:00pm", Email: "visits@cedar.example"},
			phones:  []string{"+13125550141", "+13125550142", "+13125550143", "+13125550144", "+13125550145", "+13125550146"},
		},
		policy.Prison: {
			name: "HMP Elmford", zone: "Europe/London", country: "GB", currency: "GBP",
			support: facility.Support{Phone: "+44 20 7946 0100", Hours: "Monday to Friday, 9:00am to 5:00pm", Email: "visits@elmford.example"},
			phones:  []string{"+442079460141", "+442079460142", "+442079460143", "+442079460144", "+442079460145", "+442079460146"},
		},
	}
}

// overrides are the rules that the evaluation has otherwise than the preset, so that a visit can be booked and held within
// minutes. Everything else is as a facility would have it.
func overrides() []policy.Change {
	const why = "evaluation: a visit can be booked and held within minutes"
	change := func(rule, value string) policy.Change { return policy.Change{Rule: rule, Value: value, Reason: why} }
	return []policy.Change{
		change("booking.min_notice", "0"),
		change("booking.accept_until", "0"),
		change("booking.staff_decide_until", "0"),
		change("visit.lengths_min", "5, 15, 30, 60"),
		change("limit.pair_per_day", "0"),
		change("limit.inmate_per_day", "0"),
		change("limit.remand_per_week", "0"),
		change("entitlement.calls", "30"),
		change("entitlement.minutes", "900"),
	}
}

func lease(*store.Tx) (time.Duration, error)             { return 5 * time.Minute, nil }
func caseClock(*store.Tx, string) (time.Duration, error) { return 24 * time.Hour, nil }

// picture draws a card for the ID check: nobody's face, nobody's document.
func picture(_ context.Context, n int) ([]byte, error) {
	img := image.NewRGBA(image.Rect(0, 0, 856, 540))
	fill := func(r image.Rectangle, c color.Color) {
		draw.Draw(img, r, image.NewUniform(c), image.Point{}, draw.Src)
	}
	tones := []color.RGBA{{198, 220, 240, 255}, {214, 232, 208, 255}, {240, 222, 200, 255}}
	fill(img.Bounds(), tones[n%len(tones)])
	fill(image.Rect(0, 0, 856, 80), color.RGBA{10, 77, 140, 255})
	fill(image.Rect(40, 130, 280, 450), color.RGBA{250, 250, 250, 255})
	for y := range 320 { // a plain head and shoulders
		for x := range 240 {
			dx, dy := x-120, y-120
			if dx*dx+dy*dy*3/4 < 70*70 || y > 210 && dx*dx*3+(y-330)*(y-330)*4 < 190*190*2 {
				img.Set(40+x, 130+y, color.RGBA{120, 130, 145, 255})
			}
		}
	}
	for i := range 5 {
		fill(image.Rect(330, 150+i*60, 330+400-(i*57)%190, 174+i*60), color.RGBA{90, 98, 110, 255})
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, img, &jpeg.Options{Quality: 85}); err != nil {
		return nil, fmt.Errorf("draw a card: %w", err)
	}
	return out.Bytes(), nil
}
