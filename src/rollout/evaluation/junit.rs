//! `JUnit` XML: what nearly every test runner can write.
//!
//! Test cases are counted, not the totals in attributes, which runners compute in different ways. A case
//! with a failure or an error in it failed, a skipped one is left out. There are no document types, so
//! that no entity can grow, and nothing of a case is kept.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::{Evaluation, ResultError, of_tests, quoted};
use crate::model::plan::quality::ResultFormat;

/// Elements in elements; reports have five.
const DEPTH_MAX: usize = 64;

/// What has been counted so far.
#[derive(Debug, Default)]
struct Count {
    passed: u32,
    failed: u32,
    skipped: u32,
    depth: usize,
    has_root: bool,
    /// The test case that is open: at which depth, and what became of it.
    case: Option<(usize, Became)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Became {
    Passed,
    Skipped,
    Failed,
}

/// Reads a report.
pub(super) fn read(text: &str) -> Result<Evaluation, ResultError> {
    let wrong = |problem: String| ResultError::Xml(format!("{problem}: {}", quoted(text)));
    let mut reader = Reader::from_str(text);
    let mut count = Count::default();
    loop {
        let event = reader.read_event().map_err(|error| wrong(error.to_string()))?;
        match event {
            Event::Start(element) => count.begin(&element).map_err(wrong)?,
            Event::Empty(element) => {
                count.begin(&element).map_err(wrong)?;
                count.end();
            }
            Event::End(_) => count.end(),
            Event::DocType(_) => {
                return Err(wrong("it declares a document type, which it needs none of".into()));
            }
            Event::Eof if count.depth > 0 => return Err(wrong("it ends in the middle".into())),
            Event::Eof if !count.has_root => return Err(wrong("there is no element in it".into())),
            Event::Eof => break,
            _ => {}
        }
    }
    of_tests(ResultFormat::Junit, count.passed, count.failed, count.skipped)
}

impl Count {
    fn begin(&mut self, element: &BytesStart<'_>) -> Result<(), String> {
        let name = element.local_name();
        let name: &str = name.as_ref();
        if self.depth == 0 && !matches!(name, "testsuites" | "testsuite") {
            return Err(format!("its root is {}, not testsuites", quoted(name)));
        }
        (self.has_root, self.depth) = (true, self.depth + 1);
        if self.depth > DEPTH_MAX {
            return Err(format!("it has more than {DEPTH_MAX} elements in each other"));
        }
        match (&mut self.case, name) {
            (None, "testcase") => self.case = Some((self.depth, Became::Passed)),
            (Some((_, became)), "failure" | "error") => *became = Became::Failed,
            (Some((_, became)), "skipped") => *became = Became::Skipped.max(*became),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self) {
        if let Some((_, became)) = self.case.take_if(|(depth, _)| *depth == self.depth) {
            let counted = match became {
                Became::Passed => &mut self.passed,
                Became::Skipped => &mut self.skipped,
                Became::Failed => &mut self.failed,
            };
            *counted = counted.saturating_add(1);
        }
        self.depth = self.depth.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(text: &str) -> Result<(u32, u32), String> {
        let read = read(text).map_err(|error| error.to_string())?;
        Ok((read.passed.unwrap(), read.cases))
    }

    #[test]
    fn cases_are_counted_whatever_the_attributes_say() {
        for (text, expected) in [
            ("<testsuite tests='9'><testcase/><testcase></testcase></testsuite>", (2, 2)),
            (
                "<?xml version='1.0'?><testsuites><testsuite><testcase><failure/><error/></testcase>\
                 <testcase><skipped/></testcase></testsuite><testsuite><testcase/></testsuite>\
                 </testsuites>",
                (1, 2),
            ),
            (
                "<testsuite><properties><property/></properties><testcase><system-out><![CDATA[<failure/>]]>\
                 </system-out></testcase><system-err/></testsuite>",
                (1, 1),
            ),
            ("<testsuite><testcase><rerunFailure/></testcase></testsuite>", (1, 1)),
            ("<j:testsuite><j:testcase><j:failure/></j:testcase></j:testsuite>", (0, 1)),
        ] {
            assert_eq!(counts(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_none_or_dangerous_is_refused() {
        let bomb =
            "<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;'>]><testsuite>&b;</testsuite>";
        let deep = "<testsuite>".repeat(100_000);
        for (text, expected) in [
            (bomb, "the result is no JUnit XML: it declares a document type"),
            (&deep, "the result is no JUnit XML: it has more than 64 elements in each other"),
            (
                "<html><body/></html>",
                "the result is no JUnit XML: its root is `html`, not testsuites",
            ),
            ("<testsuite><testcase>", "the result is no JUnit XML: it ends in the middle"),
            ("<testsuite><testcase></testsuite>", "the result is no JUnit XML: "),
            ("<testsuite/>", "the result holds no test that was run, only 0 skipped ones"),
        ] {
            let error = counts(text).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
            assert!(error.len() < 400, "{}", error.len());
        }
    }

    #[test]
    fn entities_in_the_text_of_a_case_are_not_looked_at() {
        let text =
            "<testsuite><testcase><failure message='&x;'>&y;</failure></testcase></testsuite>";
        assert_eq!(counts(text), Ok((0, 1)));
    }
}
