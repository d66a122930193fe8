//! Calendar dates of three protocols, in seconds since 1970, UTC. Leap seconds do not exist here, as in POSIX time.

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Days since 1970-01-01 of a date of the Gregorian calendar (the well-known algorithm by eras of 400 years, with
/// years that begin in March).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The reverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// Seconds since 1970 of a date and time of day, if they exist.
fn seconds(year: i64, month: i64, day: i64, time: [i64; 3]) -> Option<i64> {
    let [hour, minute, second] = time;
    let real = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    let days = real.then(|| days_from_civil(year, month, day))?;
    (civil_from_days(days) == (year, month, day)).then_some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

/// A number of exactly the digits of `text`.
fn digits(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// `20150830T123600Z`, as SigV4 stamps a request.
pub fn amz(at: i64) -> String {
    let (year, month, day) = civil_from_days(at.div_euclid(86_400));
    let time = at.rem_euclid(86_400);
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", time / 3600, time / 60 % 60, time % 60)
}

/// `2015-08-30T12:36:00Z`.
pub fn iso(at: i64) -> String {
    let (year, month, day) = civil_from_days(at.div_euclid(86_400));
    let time = at.rem_euclid(86_400);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", time / 3600, time / 60 % 60, time % 60)
}

/// Reads `2015-08-30T12:36:00Z`, as IMDS writes expiries; a fraction of a second is dropped.
pub fn parse_iso(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(digits);
    let time = time.split_once('.').map_or(time, |(whole, _)| whole);
    let mut time = time.splitn(3, ':').map(digits);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    seconds(year, month, day, [time.next()??, time.next()??, time.next()??])
}

/// Reads `Sun, 30 Aug 2015 12:36:00 GMT`, the one form of an HTTP `Date` that servers may write.
pub fn parse_http(text: &str) -> Option<i64> {
    let mut words = text.split_once(", ")?.1.split(' ');
    let (day, month, year, time) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().zip(1..).find(|(name, _)| **name == month)?.1;
    let mut time = time.splitn(3, ':').map(digits);
    let zone = words.next()?;
    (zone == "GMT" && words.next().is_none())
        .then(|| seconds(digits(year)?, month, digits(day)?, [time.next()??, time.next()??, time.next()??]))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        assert_eq!(amz(1_440_938_160), "20150830T123600Z");
        assert_eq!(iso(1_440_938_160), "2015-08-30T12:36:00Z");
        assert_eq!(iso(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(parse_iso("2015-08-30T12:36:00Z"), Some(1_440_938_160));
        assert_eq!(parse_iso("2015-08-30T12:36:00.123Z"), Some(1_440_938_160));
        assert_eq!(parse_http("Sun, 30 Aug 2015 12:36:00 GMT"), Some(1_440_938_160));
    }

    #[test]
    fn every_day_of_two_centuries_reads_back() {
        for day in 0..73_000 {
            let at = day * 86_400 + (day * 7919) % 86_400;
            assert_eq!(parse_iso(&iso(at)), Some(at));
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in
            ["", "Z", "2015-13-01T00:00:00Z", "2015-02-29T00:00:00Z", "2015-08-30 12:36:00", "2015-08-30T+1:00:00Z"]
        {
            assert_eq!(parse_iso(text), None, "{text}");
        }
        for text in [
            "",
            "Sun, 30 Aug 2015 12:36:00 CET",
            "30 Aug 2015",
            "Sun, 31 Feb 2015 00:00:00 GMT",
            "Sun, 30 aug 2015 1:1 GMT",
        ] {
            assert_eq!(parse_http(text), None, "{text}");
        }
    }
}
