//! Finds the Cyan that a verb talks to, and its token.
//!
//! Of a config file only what leads to it is read, and first of all what the Cyan that runs has announced:
//! a rollback must not wait for a typo elsewhere to be mended.

use std::path::Path;

use super::admin_address::{AdminAddress, Origin};
use super::announced;
use super::failure::Failure;
use super::session::Globals;
use crate::config::{AdminPart, ConfigErrors};
use crate::model::environment::Secret;
use crate::model::listener::ListenAddress;

/// The address, and the token that the config has for it. A token is not read where another is named.
pub(super) fn find(globals: &Globals) -> Result<(AdminAddress, Option<Secret>), Failure> {
    if let Some(address) = named(globals)? {
        return Ok((address, None));
    }
    let Some(path) = &globals.config else { return Ok((AdminAddress::default(), None)) };
    let part = AdminPart::load(path, &variable).map_err(refused)?;
    let address = match announced::read(&part.state_dir(), path) {
        Some(address) => address,
        None => configured(path, part.address())?,
    };
    let token = if globals.token_file.is_some() { None } else { part.token().map_err(refused)? };
    Ok((address, token))
}

/// Where to ask whether Cyan is well, which needs no token. Whatever the config file has become says nothing
/// against the Cyan that runs.
pub(super) fn of_health(globals: &Globals) -> Result<AdminAddress, Failure> {
    if let Some(address) = named(globals)? {
        return Ok(address);
    }
    let Some(path) = &globals.config else { return Ok(AdminAddress::default()) };
    let part = AdminPart::load(path, &variable).unwrap_or_else(|_| AdminPart::empty(&variable));
    match announced::read(&part.state_dir(), path) {
        Some(address) => Ok(address),
        None => configured(path, part.address_as_far_as_known()),
    }
}

/// What somebody says on the command line or by a variable; one that is empty is not set.
fn named(globals: &Globals) -> Result<Option<AdminAddress>, Failure> {
    if let Some(text) = &globals.admin {
        return AdminAddress::parse(text, Origin::Flag).map(Some);
    }
    match variable("CYAN_ADMIN").filter(|text| !text.is_empty()) {
        Some(text) => AdminAddress::parse(&text, Origin::Variable).map(Some),
        None => Ok(None),
    }
}

fn configured(
    path: &Path,
    listener: Result<ListenAddress, ConfigErrors>,
) -> Result<AdminAddress, Failure> {
    let listener = listener.map_err(refused)?;
    Ok(AdminAddress::of_listener(&listener, Origin::Config(path.to_owned())))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[expect(clippy::needless_pass_by_value, reason = "what `map_err` gives")]
fn refused(errors: ConfigErrors) -> Failure {
    Failure::config(errors.to_string())
}
