"""The same tables by Splink, the best known open library for this: python3 peer.py FOLDER. Needs: pip install splink.

Its model is what its guides advise for such data: names with swapped columns, dates by Damerau and Levenshtein, term
frequencies, weights learned without labels on the very data it is judged on, a fixed threshold of 0.95.
"""

import sys
from pathlib import Path

import duckdb
import splink.comparison_library as cl
from splink import DuckDBAPI, Linker, SettingsCreator, block_on

NAMES = ["rec_id", "given_name", "surname", "street_number", "address_1", "address_2", "suburb", "postcode", "state",
         "date_of_birth", "soc_sec_id"]
FIELDS = {
    "all fields": NAMES[1:],
    "no national id": NAMES[1:10],
    "names, birthday, state": ["given_name", "surname", "date_of_birth", "state"],
}


def read(folder, files, fields):
    rows = []
    for file in files:
        for line in (Path(folder) / file).read_text().splitlines()[1:]:
            values = [value.strip() or None for value in line.split(",")]
            row = dict(zip(NAMES, values))
            row["person"] = "-".join(row["rec_id"].split("-")[:2])
            row["unique_id"] = len(rows)
            rows.append({name: row[name] for name in ["unique_id", "person", *fields]})
    return rows


def comparisons(fields):
    out = [
        cl.ForenameSurnameComparison("given_name", "surname", jaro_winkler_thresholds=[0.92, 0.8],
                                     forename_surname_concat_col_name="full_name"),
        cl.DamerauLevenshteinAtThresholds("date_of_birth", [1, 2]),
        cl.ExactMatch("state").configure(term_frequency_adjustments=True),
    ]
    if "soc_sec_id" in fields:
        out.append(cl.DamerauLevenshteinAtThresholds("soc_sec_id", [1, 2]))
    if "suburb" in fields:
        out += [
            cl.DamerauLevenshteinAtThresholds("street_number", [1]).configure(term_frequency_adjustments=True),
            cl.JaroWinklerAtThresholds("address_1", [0.9, 0.7]),
            cl.JaroWinklerAtThresholds("address_2", [0.9, 0.7]),
            cl.JaroWinklerAtThresholds("suburb", [0.9, 0.8]).configure(term_frequency_adjustments=True),
            cl.DamerauLevenshteinAtThresholds("postcode", [1, 2]),
        ]
    return out


def f1(rows, label):
    """Pairwise precision, recall and F1 of clusters."""
    def pairs(key):
        count = {}
        for row in rows:
            count[key(row)] = count.get(key(row), 0) + 1
        return sum(n * (n - 1) // 2 for n in count.values())

    together, one, both = pairs(lambda r: r[label]), pairs(lambda r: r["person"]), pairs(lambda r: (r[label], r["person"]))
    precision, recall = both / max(together, 1), both / one
    return precision, recall, 2 * precision * recall / (precision + recall)


def run(folder, files, fields):
    rows = read(folder, files, fields)
    for row in rows:
        names = [row["given_name"], row["surname"]]
        row["full_name"] = " ".join(names) if all(names) else None
    con = duckdb.connect()
    columns = list(rows[0])
    kinds = ", ".join(f"{name} {'INTEGER' if name == 'unique_id' else 'VARCHAR'}" for name in columns)
    con.execute(f"CREATE TABLE records ({kinds})")
    con.executemany(f"INSERT INTO records VALUES ({', '.join('?' * len(columns))})", [list(row.values()) for row in rows])
    rules = [block_on("date_of_birth"), block_on("given_name", "surname"), block_on("surname", "given_name"),
             block_on("given_name", "state"), block_on("surname", "state")]
    if "suburb" in fields:
        rules += [block_on("suburb", "street_number"), block_on("postcode", "street_number"), block_on("address_1")]
    if "soc_sec_id" in fields:
        rules.append(block_on("soc_sec_id"))
    settings = SettingsCreator(link_type="dedupe_only", comparisons=comparisons(fields),
                               blocking_rules_to_generate_predictions=rules, retain_intermediate_calculation_columns=False)
    linker = Linker(DuckDBAPI(con).register("records"), settings, log_level=None)
    linker.training.estimate_probability_two_random_records_match(
        [block_on("given_name", "surname", "date_of_birth")], recall=0.6)
    linker.training.estimate_u_using_random_sampling(max_pairs=2e6, seed=1)
    linker.training.estimate_parameters_using_expectation_maximisation(block_on("date_of_birth"))
    linker.training.estimate_parameters_using_expectation_maximisation(block_on("given_name", "surname"))
    predictions = linker.inference.predict(threshold_match_probability=0.5)
    clusters = linker.clustering.cluster_pairwise_predictions_at_threshold(predictions, threshold_match_probability=0.95)
    found = {row["unique_id"]: row["cluster_id"] for row in clusters.as_record_list()}
    for row in rows:
        row["cluster"] = found[row["unique_id"]]
    return f1(rows, "cluster")


def main():
    folder = sys.argv[1]
    for name, fields in FIELDS.items():
        for data, files in [("FEBRL 3", ["dataset3.csv"]), ("FEBRL 4", ["dataset4a.csv", "dataset4b.csv"])]:
            precision, recall, both = run(folder, files, fields)
            print(f"{'Splink, ' + data + ', ' + name:<42} {precision:9.4f} {recall:9.4f} {both:9.4f}", flush=True)


if __name__ == "__main__":
    main()
