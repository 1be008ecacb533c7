//! `${VAR}` inside the strings of a config.
//!
//! Done on values after parsing, never on the text: what a variable holds cannot add keys or change
//! the structure of the file. `$$` is a dollar sign.

/// Why a string cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ExpandError {
    /// The environment has no such variable.
    #[error(
        "variable `{0}` is not set; set it in the environment of Cyan, or write the value here"
    )]
    Unset(String),
    /// A `${` that is no variable.
    #[error("`${{` is not followed by a name and `}}`; write ${{NAME}}, or $$ for a dollar sign")]
    Form,
}

/// `text` with every `${VAR}` replaced by what `variable` says.
pub(super) fn expand(
    text: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<String, ExpandError> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        rest = if let Some(after) = after.strip_prefix('$') {
            expanded.push('$');
            after
        } else if let Some(after) = after.strip_prefix('{') {
            let (name, after) = after.split_once('}').ok_or(ExpandError::Form)?;
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                return Err(ExpandError::Form);
            }
            let value = variable(name).ok_or_else(|| ExpandError::Unset(name.to_owned()))?;
            expanded.push_str(&value);
            after
        } else {
            expanded.push('$');
            after
        };
    }
    expanded.push_str(rest);
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<String, ExpandError> {
        expand(text, &|name| (name == "PORT").then(|| "80${PORT}".to_owned()))
    }

    #[test]
    fn variables_are_replaced_once() {
        for (text, value) in [
            ("", ""),
            ("plain", "plain"),
            ("a:${PORT}/x", "a:80${PORT}/x"),
            ("$$", "$"),
            ("$${PORT}", "${PORT}"),
            ("cost $5", "cost $5"),
            ("end$", "end$"),
        ] {
            assert_eq!(expanded(text).as_deref(), Ok(value), "{text}");
        }
    }

    #[test]
    fn what_is_not_set_is_named() {
        assert_eq!(expanded("${OTHER}"), Err(ExpandError::Unset("OTHER".into())));
        for text in ["${", "${}", "${PORT", "${A B}", "${A:-b}"] {
            assert_eq!(expanded(text), Err(ExpandError::Form), "{text}");
        }
        assert_eq!(
            ExpandError::Form.to_string(),
            "`${` is not followed by a name and `}`; write ${NAME}, or $$ for a dollar sign"
        );
    }
}
