//! Weights and roles of a service that has no state yet.
//!
//! Little has to be written: what is missing follows from what is there, and only where that leaves no
//! doubt. A doubt is an error, never a guess, since it would be about who gets whose answers.

use super::super::keys::Kind;
use super::super::nearest::nearest;
use super::super::reader::Section;
use super::super::source::Place;
use crate::model::name::Name;
use crate::model::routing_table::Weighted;
use crate::model::service::InitialSplit;
use crate::model::weight::Weight;

/// A written weight and its place.
type Written = Option<(Place, Weight)>;

/// The split of `service` over its environments; `None` when an error was reported.
pub(super) fn read(
    service: &Section<'_>,
    environments: &[(Name, Section<'_>)],
) -> Option<InitialSplit> {
    let written: Vec<Written> =
        environments.iter().map(|(_, section)| read_weight(section)).collect();
    let wrong_weight = written
        .iter()
        .zip(environments)
        .any(|(written, (_, section))| written.is_none() && section.has("weight"));
    let names: Vec<&Name> = environments.iter().map(|(name, _)| name).collect();
    let active = read_role(service, "active", &names);
    let candidate = read_role(service, "candidate", &names);
    let fallback = read_role(service, "fallback", &names);
    let active = match active {
        Ok(Some(active)) => active,
        Ok(None) => default_active(&names, &written, fallback.as_ref().ok()?.as_ref())?,
        Err(Reported) => return None,
    };
    let (candidate, fallback) = (candidate.ok()?, fallback.ok()?);
    check_roles(service, &active, candidate.as_ref(), fallback.as_ref());
    if wrong_weight {
        return None;
    }
    let weights = complete(service, environments, &written, &active, fallback.as_ref())?;
    let candidate = candidate.or_else(|| only_other(&names, &active, fallback.as_ref()));
    let weights = names.into_iter().cloned().zip(weights);
    let weights = weights.map(|(environment, weight)| Weighted { environment, weight }).collect();
    Some(InitialSplit { active, candidate, fallback, weights })
}

/// An error was reported already.
#[derive(Debug)]
struct Reported;

fn read_weight(section: &Section<'_>) -> Written {
    let value = section.value("weight", Kind::Number)?;
    let weight = Weight::from_percent(value.number()?);
    let weight = weight.map_err(|error| value.error(error)).ok()?;
    Some((value.place, weight))
}

fn read_role(service: &Section<'_>, role: &str, names: &[&Name]) -> Result<Option<Name>, Reported> {
    if !service.has(role) {
        return Ok(service.parsed::<String>(role).and(None));
    }
    let written = service.parsed::<String>(role).ok_or(Reported)?;
    if let Some(name) = names.iter().find(|name| ***name == *written.as_str()) {
        return Ok(Some((*name).clone()));
    }
    let remedy = match nearest(&written, names.iter().map(|name| name.as_str())) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("write one of {}", list(names)),
    };
    let sentence = format!("no environment `{written}` in this service; {remedy}");
    service.reader.error(&service.place_of(role), sentence);
    Err(Reported)
}

/// The only environment with all the traffic, else the first that is not for emergencies only.
fn default_active(names: &[&Name], written: &[Written], fallback: Option<&Name>) -> Option<Name> {
    let full = written.iter().position(|written| matches!(written, Some((_, Weight::FULL))));
    let first = names.iter().position(|name| Some(*name) != fallback);
    full.or(first).map(|index| names[index].clone())
}

/// The only environment that has no role yet.
fn only_other(names: &[&Name], active: &Name, fallback: Option<&Name>) -> Option<Name> {
    let mut others = names.iter().filter(|name| **name != active && Some(**name) != fallback);
    match (others.next(), others.next()) {
        (Some(only), None) => Some((*only).clone()),
        _ => None,
    }
}

fn check_roles(
    service: &Section<'_>,
    active: &Name,
    candidate: Option<&Name>,
    fallback: Option<&Name>,
) {
    for (role, name) in [("candidate", candidate), ("fallback", fallback)] {
        if name == Some(active) {
            let sentence =
                format!("`{active}` is the active environment; name another, or leave it out");
            service.reader.error(&service.place_of(role), sentence);
        }
    }
}

/// Weights in the order of the environments, with those that are not written filled in.
fn complete(
    service: &Section<'_>,
    environments: &[(Name, Section<'_>)],
    written: &[Written],
    active: &Name,
    fallback: Option<&Name>,
) -> Option<Vec<Weight>> {
    let sum: u32 = written.iter().flatten().map(|(_, weight)| u32::from(weight.hundredths())).sum();
    let nothing_written = written.iter().all(Option::is_none);
    let takes_rest = |index: &usize| {
        let name = &environments[*index].0;
        let missing = written[*index].is_none();
        missing && if nothing_written { name == active } else { Some(name) != fallback }
    };
    let takers: Vec<usize> = (0..written.len()).filter(takes_rest).collect();
    let full = u32::from(Weight::FULL.hundredths());
    let rest = match (full.checked_sub(sum), takers.as_slice()) {
        (Some(0), _) => 0,
        (Some(rest), [_]) => rest,
        (Some(rest), [_, ..]) => {
            let names: Vec<&Name> = takers.iter().map(|index| &environments[*index].0).collect();
            let sentence = format!(
                "weights sum to {}, and {} have none; say who gets the other {}",
                percent(sum),
                list(&names),
                percent(rest)
            );
            service.reader.error(&environments[takers[0]].1.place, sentence);
            return None;
        }
        _ => {
            report_sum(service, written, sum);
            return None;
        }
    };
    let filled = |index: usize| match &written[index] {
        Some((_, weight)) => Some(*weight),
        None if takers.first() == Some(&index) => {
            u16::try_from(rest).ok().and_then(Weight::from_hundredths)
        }
        None => Some(Weight::ZERO),
    };
    (0..written.len()).map(filled).collect()
}

/// `75 + 35 = 110, must be 100`, at the last weight with a hint what it could be.
fn report_sum(service: &Section<'_>, written: &[Written], sum: u32) {
    let mut in_order: Vec<&(Place, Weight)> = written.iter().flatten().collect();
    in_order.sort_by_key(|(place, _)| place.span.start);
    let Some(((last, weight), earlier)) = in_order.split_last() else { return };
    let terms: Vec<_> = in_order.iter().map(|(_, weight)| weight.to_string()).collect();
    let before = sum - u32::from(weight.hundredths());
    let remedy = match u32::from(Weight::FULL.hundredths()).checked_sub(before) {
        Some(fits) => {
            format!("write {}, or leave one weight out and it takes the rest", percent(fits))
        }
        None => "lower them, or leave one weight out and it takes the rest".to_owned(),
    };
    let sentence = format!("{} = {}, must be 100; {remedy}", terms.join(" + "), percent(sum));
    let related = earlier.iter().map(|(place, _)| place.span.clone()).collect();
    service.reader.error_with(last, sentence, related);
}

/// Hundredths of a percent as percent, also above 100.
fn percent(hundredths: u32) -> String {
    let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn list(names: &[&Name]) -> String {
    names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{errors, try_config};

    /// A service with these environments; `weight` is left out where it is `None`.
    fn text(roles: &str, weights: &[(&str, Option<&str>)]) -> String {
        let environment = |(index, (name, weight)): (usize, &(&str, Option<&str>))| {
            let weight = weight.map(|weight| format!("weight = {weight}")).unwrap_or_default();
            format!(
                "[environment.{name}]\nupstreams = \"http://127.0.0.1:{}\"\n{weight}\n",
                index + 1
            )
        };
        let environments: String = weights.iter().enumerate().map(environment).collect();
        format!("listen.http = \"127.0.0.1:80\"\n{roles}\n{environments}")
    }

    #[test]
    fn what_is_not_written_follows() {
        for (roles, weights, expected) in [
            ("", vec![("blue", None)], "blue - - 100"),
            ("", vec![("blue", None), ("green", None)], "blue green - 100 0"),
            ("", vec![("zoe", None), ("amy", None)], "zoe amy - 100 0"),
            ("", vec![("blue", Some("0")), ("green", Some("100"))], "green blue - 0 100"),
            ("", vec![("blue", None), ("green", Some("5"))], "blue green - 95 5"),
            ("", vec![("blue", Some("99.99")), ("green", None)], "blue green - 99.99 0.01"),
            ("", vec![("blue", Some("100")), ("green", None), ("red", None)], "blue - - 100 0 0"),
            ("active = \"green\"", vec![("blue", None), ("green", None)], "green blue - 0 100"),
            (
                "fallback = \"red\"",
                vec![("blue", None), ("green", Some("5")), ("red", None)],
                "blue green red 95 5 0",
            ),
            ("fallback = \"red\"", vec![("red", None), ("blue", None)], "blue - red 0 100"),
            (
                "candidate = \"red\"",
                vec![("blue", Some("90")), ("green", Some("10")), ("red", None)],
                "blue red - 90 10 0",
            ),
        ] {
            let config = try_config(&text(roles, &weights)).unwrap();
            let split = &config.services[0].initial;
            let name = |name: &Option<crate::model::name::Name>| {
                name.as_ref().map_or("-".to_owned(), ToString::to_string)
            };
            let shares: Vec<_> = split.weights.iter().map(|w| w.weight.to_string()).collect();
            let shares = shares.join(" ");
            let (candidate, fallback) = (name(&split.candidate), name(&split.fallback));
            assert_eq!(format!("{} {candidate} {fallback} {shares}", split.active), expected);
        }
    }

    #[test]
    fn doubts_are_refused() {
        for (roles, weights, expected) in [
            (
                "",
                vec![("blue", Some("75")), ("green", Some("35"))],
                "a.toml:8: environment.green.weight: 75 + 35 = 110, must be 100; write 25, or leave one weight out and it takes the rest",
            ),
            (
                "",
                vec![("blue", Some("0.01"))],
                "a.toml:5: environment.blue.weight: 0.01 = 0.01, must be 100; write 100, or leave one weight out and it takes the rest",
            ),
            (
                "",
                vec![("blue", Some("70")), ("green", Some("70")), ("red", None)],
                "a.toml:8: environment.green.weight: 70 + 70 = 140, must be 100; write 30, or leave one weight out and it takes the rest",
            ),
            (
                "",
                vec![("blue", Some("70")), ("green", None), ("red", None)],
                "a.toml:6: environment.green: weights sum to 70, and green, red have none; say who gets the other 30",
            ),
            (
                "",
                vec![("blue", Some("0.001"))],
                "a.toml:5: environment.blue.weight: `0.001` is finer than 0.01 %; write at most two decimals",
            ),
            (
                "",
                vec![("blue", Some("\"all\""))],
                "a.toml:5: environment.blue.weight: must be a number; write for example 95",
            ),
            (
                "active = \"gren\"",
                vec![("blue", None), ("green", None)],
                "a.toml:2: active: no environment `gren` in this service; did you mean `green`?",
            ),
            (
                "fallback = \"spare\"",
                vec![("blue", None), ("green", None)],
                "a.toml:2: fallback: no environment `spare` in this service; write one of blue, green",
            ),
            (
                "candidate = \"blue\"",
                vec![("blue", None), ("green", None)],
                "a.toml:2: candidate: `blue` is the active environment; name another, or leave it out",
            ),
        ] {
            assert_eq!(errors(&text(roles, &weights)), [expected]);
        }
    }
}
