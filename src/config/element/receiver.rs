//! `exec` and `url` of a hook: who is told.

use super::super::keys::Kind;
use super::super::reader::Section;
use crate::model::argv::Argv;
use crate::model::hook::{Receiver, WebAddress};

/// Those that are written; `None` when none is, or one is wrong.
pub(super) fn read(section: &Section<'_>) -> Option<Vec<Receiver>> {
    let program = read_program(section);
    let address = read_address(section);
    if !section.has("exec") && !section.has("url") {
        let sentence = "has nobody to tell; write exec = [\"/usr/bin/program\", \"argument\"] or url = \"https://…\"";
        section.reader.error(&section.place, sentence);
    }
    let receivers: Vec<_> = program.into_iter().chain(address).collect();
    (!receivers.is_empty()).then_some(receivers)
}

fn read_program(section: &Section<'_>) -> Option<Receiver> {
    let value = section.value("exec", Kind::Texts)?;
    let is_empty_list = value.is_empty_list();
    let words: Vec<String> = value.texts().into_iter().map(|(_, text)| text).collect();
    if words.is_empty() && !is_empty_list {
        return None; // what stands there has been reported already
    }
    Argv::try_from(words).map_err(|error| value.error(error)).ok().map(Receiver::Program)
}

fn read_address(section: &Section<'_>) -> Option<Receiver> {
    let value = section.value("url", Kind::Secret)?;
    let address = value.secret()?;
    let address = address.expose().parse::<WebAddress>();
    address.map_err(|error| value.error(error)).ok().map(Receiver::Web)
}
