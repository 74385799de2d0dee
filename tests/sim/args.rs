//! What the command line says.

/// What the command line says.
#[derive(Clone, Debug)]
pub struct Args {
    /// How many seeds.
    pub seeds: u64,
    /// The first of them.
    pub first: u64,
    /// Only this one.
    pub seed: Option<u64>,
    /// Whether every line is printed.
    pub trace: bool,
    /// The planted bug to look for.
    pub planted: Option<String>,
    /// Whether each planted bug is run on the seed that is known to find it.
    pub planted_list: bool,
    /// Whether a seed is looked for for every planted bug, and the list is written anew.
    pub search: bool,
}

/// How it is used.
pub const USAGE: &str = "\
cargo test --profile sim --test sim -- [OPTIONS]

  --seeds N        how many seeds (3000)
  --first S        the first of them (0)
  --seed S         only this one
  --trace          print every line of it
  --planted NAME   with a planted bug; needs --features planted
  --planted-list   each planted bug on the seed that finds it: tests/sim/planted.txt
  --search         look for such a seed for every planted bug, and write the list";

// === impl Args ===

impl Args {
    /// Reads the command line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Args, String> {
        let mut args = Args {
            seeds: 3_000,
            first: 0,
            seed: None,
            trace: false,
            planted: None,
            planted_list: false,
            search: false,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--seeds" => args.seeds = number(&value()?)?,
                "--first" => args.first = number(&value()?)?,
                "--seed" => args.seed = Some(number(&value()?)?),
                "--trace" => args.trace = true,
                "--planted" => args.planted = Some(value()?),
                "--planted-list" => args.planted_list = true,
                "--search" => args.search = true,
                _ => return Err(USAGE.to_owned()),
            }
        }
        Ok(args)
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}
