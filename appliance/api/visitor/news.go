package visitor

import (
	"context"

	"sallyport/appliance/api"
	"sallyport/appliance/store"
)

// ListVisitorNews lists the visitor's news.
func (d *Door) ListVisitorNews(ctx context.Context, _ ListVisitorNewsRequestObject) (ListVisitorNewsResponseObject, error) {
	out := News{Items: []NewsItem{}}
	err := d.DB.View(ctx, func(tx *store.Tx) error {
		list, unread, err := d.Notices.News(tx, api.From(ctx).Actor().ID)
		out.Unread = unread
		for _, n := range list {
			out.Items = append(out.Items, NewsItem{Id: string(n.ID), At: n.At, Template: n.Template, Params: &n.Params, Subject: &n.About, Read: n.Read})
		}
		return err
	})
	return ListVisitorNews200JSONResponse{NewsJSONResponse(out)}, err
}

// ReadVisitorNews marks all news as read.
func (d *Door) ReadVisitorNews(ctx context.Context, _ ReadVisitorNewsRequestObject) (ReadVisitorNewsResponseObject, error) {
	err := d.DB.Update(ctx, func(tx *store.Tx) error { return d.Notices.Read(tx, api.From(ctx).Actor().ID) })
	return ReadVisitorNews204Response{}, err
}
