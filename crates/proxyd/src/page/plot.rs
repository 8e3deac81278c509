//! Numbers as a line in a small picture, which is SVG within the page. Pure.

use super::html::Html;

/// Its size, in points.
const WIDTH: f64 = 120.0;
const HEIGHT: f64 = 24.0;

/// A plot of `values`, the oldest first, that says in words what it shows. Nothing for fewer than two.
pub(super) fn plot(values: &[f64], what: &str) -> Html {
    let mut html = Html::default();
    if values.len() < 2 {
        return html;
    }
    let greatest = values.iter().copied().fold(0.0, f64::max);
    let last = values[values.len() - 1];
    html.raw("<svg class=\"plot\" viewBox=\"0 0 120 24\" width=\"120\" height=\"24\" role=\"img\" aria-label=\"");
    html.text(format_args!("{what}: {last:.0} now, {greatest:.0} at most")).raw("\"><title>");
    html.text(format_args!("{what}: {last:.0} now, {greatest:.0} at most"))
        .raw("</title><polyline points=\"");
    let step = WIDTH / (values.len() - 1) as f64;
    for (index, value) in values.iter().enumerate() {
        let share = if greatest > 0.0 { value / greatest } else { 0.0 };
        // The line is 2 wide, and stays within the picture.
        let (x, y) = (index as f64 * step, HEIGHT - 1.0 - share * (HEIGHT - 2.0));
        html.text(format_args!("{x:.1},{y:.1} "));
    }
    html.raw("\"/></svg>");
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_a_line_within_the_picture() {
        let svg = plot(&[0.0, 5.0, 10.0], "new \"connections\"").into_string();
        assert!(svg.contains("points=\"0.0,23.0 60.0,12.0 120.0,1.0 \""), "{svg}");
        assert!(
            svg.contains("<title>new &quot;connections&quot;: 10 now, 10 at most</title>"),
            "{svg}"
        );
        let flat = plot(&[0.0, 0.0], "x").into_string();
        assert!(flat.contains("points=\"0.0,23.0 120.0,23.0 \""), "{flat}");
        assert_eq!(plot(&[1.0], "x").into_string(), "");
    }
}
