//! The manual page: one for the program and all its commands.

use crate::args::{Arguments, STATUSES};
use clap::{Arg, Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use std::io::{self, Write};

/// Writes the page.
pub fn write(out: &mut dyn Write) -> io::Result<()> {
    let mut command = Arguments::command();
    command.build();
    let man = Man::new(command.clone());
    man.render_title(out)?;
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    man.render_description_section(out)?;
    man.render_options_section(out)?;
    let mut roff = Roff::new();
    roff.control("SH", ["COMMANDS"]);
    describe(&mut roff, &command);
    roff.control("SH", ["EXIT STATUS"]);
    for line in STATUSES.lines().skip(1) {
        let (code, meaning) = line.trim().split_once("  ").unwrap_or((line, ""));
        roff.control("TP", []).text([bold(code)]).text([roman(meaning)]);
    }
    roff.to_writer(out)
}

/// The commands of this one, and theirs.
fn describe(roff: &mut Roff, command: &Command) {
    for command in command.get_subcommands() {
        let own = command.get_arguments().filter(|argument| !argument.is_global_set() && argument.get_id() != "help");
        let own: Vec<_> = own.filter_map(explained).collect();
        // One that only has commands of its own is explained by them.
        if command.has_subcommands() && own.is_empty() {
            describe(roff, command);
            continue;
        }
        let usage = command.clone().render_usage().to_string();
        // Of several forms the first is its own; the others are those of its commands.
        let usage = usage.trim_start_matches("Usage: ").lines().next().unwrap_or_default();
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        roff.control("TP", []).text([bold(usage)]).text([roman(about)]);
        for (name, help) in own {
            roff.control("RS", []).control("TP", []).text([bold(name)]).text([roman(help)]).control("RE", []);
        }
        describe(roff, command);
    }
}

fn explained(argument: &Arg) -> Option<(String, String)> {
    let value = argument.get_value_names().and_then(|names| names.first()).map(ToString::to_string)?;
    let name = argument.get_long().map_or(value.clone(), |long| format!("--{long} {value}"));
    Some((name, argument.get_help()?.to_string()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_command_is_on_the_page() {
        let mut page = Vec::new();
        super::write(&mut page).unwrap();
        let page = String::from_utf8(page).unwrap();
        for words in [
            "oicq send [OPTIONS] <NUMBER> <TEXT>",
            "oicq file take [OPTIONS] [NUMBER]",
            "What; \\- reads it",
            "oicq profile [OPTIONS] [NUMBER]",
            "oicq profile set [OPTIONS] [FIELD=VALUE]...",
            "oicq sign\\-up [OPTIONS] \\-\\-nickname <NICKNAME>",
            "\\-\\-new\\-password\\-file FILE",
            "registration is closed",
        ] {
            assert!(page.contains(words), "{words}: {page}");
        }
        assert!(!page.contains("(1)\n"), "there is no other page to read");
        assert!(page.contains("the recipient\\*(Aqs program has the message"), "{page}");
    }
}
