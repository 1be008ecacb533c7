//! Reads any text as a config: nothing panics, an error names a line that the text has, and what is taken
//! over keeps its promises.

#![no_main]

use std::io::ErrorKind;

use cyan_fuzz::config::{Config, ConfigErrors, Surroundings, from_text};
use cyan_fuzz::model::assignment::Assignment;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match read(text) {
        Ok(config) => hold(&config, &read(text).expect("the same text is read the same")),
        Err(errors) => explain(&errors, text),
    }
});

fn read(text: &str) -> Result<Config, ConfigErrors> {
    let surroundings = Surroundings {
        variable: &|name| (name == "SECRET").then(|| "0123456789abcdef".to_owned()),
        file: &|_| Err(ErrorKind::NotFound.into()),
        has_otlp: false,
    };
    from_text(text, "a.toml", &surroundings)
}

/// What holds of every config that is taken over.
fn hold(config: &Config, again: &Config) {
    assert!(!config.services.is_empty(), "a config without a service serves nobody");
    for (service, same) in config.services.iter().zip(&again.services) {
        assert_eq!(service.initial, same.initial, "weights do not depend on when they are read");
        let assignment = Assignment::initial(&service.initial, || 7);
        let sum: u32 =
            assignment.members.iter().map(|member| u32::from(member.weight.hundredths())).sum();
        assert_eq!(sum, 10_000, "weights sum to 100 %");
    }
}

/// Every error has its place, and the excerpts can be drawn.
fn explain(errors: &ConfigErrors, text: &str) {
    let lines = text.matches('\n').count() + 1;
    let mut count = 0;
    for line in errors.lines() {
        let rest = line.strip_prefix("a.toml:").expect("it begins with the file");
        let number = rest.split(':').next().and_then(|number| number.parse::<usize>().ok());
        assert!(number.is_some_and(|number| (1..=lines).contains(&number)), "{line}");
        count += 1;
    }
    assert!(count > 0, "a refusal has a reason");
    assert!(!errors.render_excerpts().is_empty());
}
