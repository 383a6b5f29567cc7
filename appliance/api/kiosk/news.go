package kiosk

import (
	"context"

	"sallyport/appliance/api"
	"sallyport/appliance/store"
)

// ListKioskNews lists the inmate's news.
func (d *Door) ListKioskNews(ctx context.Context, _ ListKioskNewsRequestObject) (ListKioskNewsResponseObject, error) {
	out := News{Items: []NewsItem{}}
	err := d.DB.View(ctx, func(tx *store.Tx) error {
		list, unread, err := d.Notices.News(tx, api.From(ctx).Actor().ID)
		out.Unread = unread
		for _, n := range list {
			out.Items = append(out.Items, NewsItem{Id: string(n.ID), At: n.At, Template: n.Template, Params: &n.Params, Subject: &n.About, Read: n.Read})
		}
		return err
	})
	return ListKioskNews200JSONResponse{NewsJSONResponse(out)}, err
}

// ReadKioskNews marks all news as read.
func (d *Door) ReadKioskNews(ctx context.Context, _ ReadKioskNewsRequestObject) (ReadKioskNewsResponseObject, error) {
	err := d.DB.Update(ctx, func(tx *store.Tx) error { return d.Notices.Read(tx, api.From(ctx).Actor().ID) })
	return ReadKioskNews204Response{}, err
}
