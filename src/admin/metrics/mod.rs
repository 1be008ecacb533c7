//! `/metrics`: what was counted since the start and the present state, for Prometheus.
//!
//! Every metric is one entry of `catalogue`; the page and `docs/metrics.md` are printed from it. Labels
//! are names that the operator chose, addresses that they wrote, or words of Cyan's own: never anything
//! that a client or a model said, so that nobody outside can make series grow.

mod catalogue;
mod form;
mod page;
#[cfg(test)]
mod reference;
mod seen;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;

use super::state::Admin;
use form::Form;
use page::Page;
use seen::Seen;

/// Everything counted since the start, and the present state, in the form that was asked for.
pub(super) async fn show(State(admin): State<Admin>, headers: HeaderMap) -> impl IntoResponse {
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let form = Form::asked_for(accept);
    let text = Page::of(form, &Seen::now(&admin));
    ([(header::CONTENT_TYPE, form.content_type())], text)
}
