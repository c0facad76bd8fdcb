//! The time that templates may ask for, injectable so that prompts can be reproduced.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

const MONTHS: [&str; 12] = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
];
const DAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];

/// Where `strftime_now` in a chat template takes the time from.
///
/// ```
/// # use mellea_hf::Clock;
/// # use std::time::Duration;
/// let clock = Clock::fixed(Duration::from_secs(1_700_000_000));
/// assert_eq!(clock.format("%d %b %Y"), "14 Nov 2023");
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    fixed: Option<Duration>,
}

impl Clock {
    /// The machine's clock, read as UTC (the default).
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that always shows the same time, given since the beginning of 1970 (UTC).
    #[must_use]
    pub fn fixed(since_1970: Duration) -> Self {
        Self { fixed: Some(since_1970) }
    }

    /// The time in the notation of C's `strftime`; unknown directives stay as they are.
    #[must_use]
    pub fn format(&self, format: &str) -> String {
        let now = self.fixed.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default());
        let time = Civil::new(now.as_secs());
        let mut out = String::new();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            match chars.next() {
                Some('-') => match chars.next() {
                    Some(directive) => {
                        let text = time.directive(directive).unwrap_or_else(|| format!("%-{directive}"));
                        let bare = text.trim_start_matches('0');
                        out.push_str(if bare.is_empty() { "0" } else { bare });
                    }
                    None => out.push_str("%-"),
                },
                Some(directive) => {
                    out.push_str(&time.directive(directive).unwrap_or_else(|| format!("%{directive}")));
                }
                None => out.push('%'),
            }
        }
        out
    }
}

struct Civil {
    year: u64,
    month: usize,
    day: u64,
    weekday: usize,
    of_year: u64,
    hour: u64,
    minute: u64,
    second: u64,
}

impl Civil {
    fn new(seconds: u64) -> Self {
        let mut days = seconds / 86_400;
        let weekday = usize::try_from(days % 7).unwrap_or(0);
        let mut year = 1970;
        while days >= days_of_year(year) {
            days -= days_of_year(year);
            year += 1;
        }
        let of_year = days + 1;
        let mut month = 0;
        while days >= days_of_month(year, month) {
            days -= days_of_month(year, month);
            month += 1;
        }
        let rest = seconds % 86_400;
        Self {
            year,
            month,
            day: days + 1,
            weekday,
            of_year,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
        }
    }

    fn directive(&self, directive: char) -> Option<String> {
        let month = MONTHS.get(self.month).copied().unwrap_or_default();
        let weekday = DAYS.get(self.weekday).copied().unwrap_or_default();
        let short = |name: &str| name.chars().take(3).collect::<String>();
        let hour = (self.hour + 11) % 12 + 1;
        Some(match directive {
            'Y' => self.year.to_string(),
            'y' => format!("{:02}", self.year % 100),
            'm' => format!("{:02}", self.month + 1),
            'd' => format!("{:02}", self.day),
            'e' => format!("{:2}", self.day),
            'B' => month.to_owned(),
            'b' | 'h' => short(month),
            'A' => weekday.to_owned(),
            'a' => short(weekday),
            'j' => format!("{:03}", self.of_year),
            'H' => format!("{:02}", self.hour),
            'I' => format!("{hour:02}"),
            'p' => if self.hour < 12 { "AM" } else { "PM" }.to_owned(),
            'M' => format!("{:02}", self.minute),
            'S' => format!("{:02}", self.second),
            'F' => format!("{}-{:02}-{:02}", self.year, self.month + 1, self.day),
            'T' => format!("{:02}:{:02}:{:02}", self.hour, self.minute, self.second),
            'Z' => "UTC".to_owned(),
            'z' => "+0000".to_owned(),
            '%' => "%".to_owned(),
            _ => return None,
        })
    }
}

fn leap(year: u64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn days_of_year(year: u64) -> u64 {
    365 + u64::from(leap(year))
}

fn days_of_month(year: u64, month: usize) -> u64 {
    match month {
        1 => 28 + u64::from(leap(year)),
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_agree_with_the_calendar() {
        let at = |seconds| Clock::fixed(Duration::from_secs(seconds));
        assert_eq!(at(0).format("%Y-%m-%d %H:%M:%S %A %j"), "1970-01-01 00:00:00 Thursday 001");
        assert_eq!(at(951_782_400).format("%d %B %Y, %a"), "29 February 2000, Tue");
        assert_eq!(at(1_735_689_599).format("%-d %b %y %I %p %%"), "31 Dec 24 11 PM %");
        assert_eq!(at(0).format("%Q %"), "%Q %");
    }
}
