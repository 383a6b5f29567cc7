package main

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net"

	"github.com/gofiber/fiber/v3"

	"sallyport/appliance/api"
	"sallyport/appliance/api/kiosk"
	"sallyport/appliance/api/setup"
	"sallyport/appliance/api/staff"
	"sallyport/appliance/api/visitor"
	"sallyport/appliance/fault"
	"sallyport/ui"
)

// doorway is what differs between doors.
type doorway struct {
	cfg      doorConfig
	callURL  string
	handlers func(rooms *api.Rooms, r fiber.Router)
	stream   string                                          // operation id of the door's live stream
	streams  func(rooms *api.Rooms) map[string]fiber.Handler // further ones, written by hand
}

// doorways are the four doors by name.
func (h *house) doorways() map[string]doorway {
	return map[string]doorway{
		"visitor": {cfg: h.cfg.Visitor, callURL: h.cfg.Media.Visitor, stream: "streamVisitorEvents", handlers: func(rooms *api.Rooms, r fiber.Router) {
			visitor.RegisterHandlers(r, visitor.NewStrictHandler(visitor.New(rooms), nil))
		}},
		"kiosk": {cfg: h.cfg.Kiosk, callURL: h.cfg.Media.Kiosk, stream: "streamKioskEvents", handlers: func(rooms *api.Rooms, r fiber.Router) {
			kiosk.RegisterHandlers(r, kiosk.NewStrictHandler(kiosk.New(rooms), nil))
		}},
		"staff": {cfg: h.cfg.Staff, callURL: h.cfg.Media.Staff, stream: "streamStaffEvents", handlers: func(rooms *api.Rooms, r fiber.Router) {
			staff.RegisterHandlers(r, staff.NewStrictHandler(staff.New(rooms), nil))
		}, streams: func(rooms *api.Rooms) map[string]fiber.Handler {
			return map[string]fiber.Handler{"streamRecordingSeat": staff.New(rooms).StreamRecordingSeat}
		}},
		"setup": {cfg: h.cfg.Setup, handlers: func(rooms *api.Rooms, r fiber.Router) {
			setup.RegisterHandlers(r, setup.NewStrictHandler(setup.New(rooms), nil))
		}},
	}
}

// door returns a part that serves one door on a listener.
func (h *house) door(name string, ln net.Listener, contract *api.Contract, rooms *api.Rooms, log *slog.Logger) func(context.Context) error {
	way := h.doorways()[name]
	return func(ctx context.Context) error {
		pages, routes, err := pagesOf(name, log)
		if err != nil {
			return err
		}
		var door *api.Door
		streams := map[string]fiber.Handler{}
		if way.streams != nil {
			streams = way.streams(rooms)
		}
		if way.stream != "" {
			streams[way.stream] = func(c fiber.Ctx) error { return door.Events(c) }
		}
		door, err = api.New(ctx, api.Options{
			Name: name, Contract: contract, Access: h.access, Feed: h.feed, Origins: way.cfg.all(), Bare: way.cfg.ByAddress, CallURL: way.callURL,
			Pages: pages, Routes: routes, Handlers: func(r fiber.Router) { way.handlers(rooms, r) }, Streams: streams, Limit: way.cfg.Limit, Log: log,
		})
		if err != nil {
			return fmt.Errorf("make the %s door: %w", name, err)
		}
		return door.Serve(ctx, ln)
	}
}

// pagesOf returns a door's pages. A program that was built without them serves the interface alone, and says so.
func pagesOf(name string, log *slog.Logger) (fs.FS, []string, error) {
	pages, routes, err := ui.Files(name)
	if fault.CodeOf(err) == "ui_not_built" {
		log.Warn("the pages are not built", "op", "bookingd", "door", name)
		return nil, nil, nil
	}
	return pages, routes, err
}
