//! What has changed between two JSON values, as small as the page can put it together again.
//!
//! An object tells only the members that differ, and `null` for one that is gone. An array of as many items
//! as before is told as an object too, by the numbers of the items that differ; everything else is told whole.
//! `merge` in connection.js is the other half.

use serde_json::{Map, Value};

/// What to merge into `old` to make `new` of it; `None` when they are alike.
pub(super) fn difference(old: &Value, new: &Value) -> Option<Value> {
    match (old, new) {
        (old, new) if old == new => None,
        (Value::Object(old), Value::Object(new)) => Some(Value::Object(of_objects(old, new))),
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() && has_parts(new) => {
            let items = old.iter().zip(new).enumerate();
            let differ = items
                .filter_map(|(index, (old, new))| Some((index.to_string(), difference(old, new)?)));
            Some(Value::Object(differ.collect()))
        }
        _ => Some(new.clone()),
    }
}

fn of_objects(old: &Map<String, Value>, new: &Map<String, Value>) -> Map<String, Value> {
    let gone = old.keys().filter(|name| !new.contains_key(*name));
    let mut all: Map<String, Value> = gone.map(|name| (name.clone(), Value::Null)).collect();
    for (name, value) in new {
        let differs = old.get(name).map_or(Some(value.clone()), |old| difference(old, value));
        all.extend(differs.map(|value| (name.clone(), value)));
    }
    all
}

/// Whether telling single items is shorter: plain numbers are told whole.
fn has_parts(items: &[Value]) -> bool {
    items.iter().any(|item| item.is_object() || item.is_array())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As the page does it.
    fn merge(old: Value, news: Value) -> Value {
        match (old, news) {
            (Value::Object(mut old), Value::Object(news)) => {
                for (name, value) in news {
                    let merged = merge(old.remove(&name).unwrap_or(Value::Null), value);
                    old.insert(name, merged);
                }
                Value::Object(old)
            }
            (Value::Array(mut old), Value::Object(news)) => {
                for (index, value) in news {
                    let item = &mut old[index.parse::<usize>().unwrap()];
                    *item = merge(item.take(), value);
                }
                Value::Array(old)
            }
            (_, news) => news,
        }
    }

    #[test]
    fn only_what_differs_is_told_and_merges_to_the_whole() {
        for (old, new, told) in [
            (
                json!({"a": 1, "b": {"c": 2, "d": 3}}),
                json!({"a": 1, "b": {"c": 2, "d": 4}}),
                json!({"b": {"d": 4}}),
            ),
            (
                json!({"a": [{"n": 1}, {"n": 2}]}),
                json!({"a": [{"n": 1}, {"n": 3}]}),
                json!({"a": {"1": {"n": 3}}}),
            ),
            (json!({"a": [1, 2, 3]}), json!({"a": [1, 2, 4]}), json!({"a": [1, 2, 4]})),
            (json!({"a": [{"n": 1}]}), json!({"a": []}), json!({"a": []})),
            (json!({"a": null}), json!({"a": {"n": 1}}), json!({"a": {"n": 1}})),
            (json!({"a": {"n": 1}}), json!({"a": null}), json!({"a": null})),
            (json!({"a": [[1, 2], [3]]}), json!({"a": [[1, 2], [4]]}), json!({"a": {"1": [4]}})),
        ] {
            let found = difference(&old, &new).unwrap();
            assert_eq!(found, told);
            assert_eq!(merge(old, found), new);
        }
        assert_eq!(difference(&json!({"a": [1]}), &json!({"a": [1]})), None);
        let gone = difference(&json!({"a": 1, "b": 2}), &json!({"a": 1}));
        assert_eq!(gone, Some(json!({"b": null})), "a page reads null and nothing alike");
    }
}
