use super::*;

fn read(text: &str) -> String {
    read_csv(text.as_bytes(), media::CSV, false, &Limits::default()).unwrap().text
}

#[test]
fn rows_name_their_values() {
    let text = "name;city\n\"Ada; Countess\";London\nAlan;\n";
    assert_eq!(read(text), "name: Ada; Countess; city: London\nname: Alan");
}

#[test]
fn numbers_are_not_a_header() {
    assert_eq!(read("1,2\n3,4\n"), "1\t2\n3\t4");
}

#[test]
fn long_table_is_written_without_labels() {
    let mut text = "a long name of a column,another long name\n".to_owned();
    text.push_str(&"1,2\n".repeat(100));
    let limits = Limits { output: 1_000, ..Limits::default() };
    let document = read_csv(text.as_bytes(), media::CSV, false, &limits).unwrap();
    assert!(document.text.starts_with("a long name of a column\tanother long name\n1\t2\n"));
    assert_eq!(document.warnings.len(), 1);
}

#[test]
fn first_record_of_a_table_without_header_stays_a_record() {
    assert_eq!(
        read("Ilse,Bruges,teacher\nTom,Ghent,baker\nAnn,Lier,nurse\n"),
        "Ilse\tBruges\tteacher\nTom\tGhent\tbaker\nAnn\tLier\tnurse"
    );
    // The same city again, and a number in each record.
    assert_eq!(read("Ilse,Bruges\nTom,Ghent\nAnn,Bruges\n"), "Ilse\tBruges\nTom\tGhent\nAnn\tBruges");
    assert_eq!(read("Ilse,Bruges,31\nTom,Ghent,45\n"), "Ilse\tBruges\t31\nTom\tGhent\t45");
}

#[test]
fn header_is_known_by_what_stands_under_it() {
    for (text, first) in [
        // Numbers, dates, digits under words.
        ("Alpha,Beta,Gamma\nx,y,1\nz,w,2\n", "Alpha: x; Beta: y; Gamma: 1"),
        ("Alpha,Beta,Gamma\nx,y,2024-01-05\nz,w,2024-02-06\n", "Alpha: x; Beta: y; Gamma: 2024-01-05"),
        ("Alpha,Beta,Gamma\nx,y,Bay 4\nz,w,Bay 5\n", "Alpha: x; Beta: y; Gamma: Bay 4"),
        (
            "Alpha,Beta,Gamma\nx,y,a@example.org\nz,w,b@example.org\n",
            "Alpha: x; Beta: y; Gamma: a@example.org",
        ),
        // Its words, its letters, an empty corner.
        ("First name,Town\nIlse,Bruges\nTom,Ghent\n", "First name: Ilse; Town: Bruges"),
        (
            "ALPHA,BETA,GAMMA\nIlse,Bruges,teacher\nTom,Ghent,baker\n",
            "ALPHA: Ilse; BETA: Bruges; GAMMA: teacher",
        ),
        (",North,South\nspring,dry,wet\nautumn,wet,dry\n", "spring; North: dry; South: wet"),
    ] {
        assert_eq!(read(text).lines().next().unwrap(), first);
    }
}

#[test]
fn years_name_columns_but_years_above_years_do_not() {
    assert_eq!(
        read("Country,2021,2022\nPeru,12,13\nChad,5,6\n"),
        "Country: Peru; 2021: 12; 2022: 13\nCountry: Chad; 2021: 5; 2022: 6"
    );
    assert_eq!(read(",2021,2022,2023\nSales,12,13,14\n"), "Sales; 2021: 12; 2022: 13; 2023: 14");
    assert_eq!(read("Peru,2001,2004\nChad,2005,2009\n"), "Peru\t2001\t2004\nChad\t2005\t2009");
}

#[test]
fn header_of_two_rows_is_joined() {
    let text = "Region,2023,,2024,\n,Plan,Actual,Plan,Actual\nNorth,10,11,12,13\nSouth,20,21,22,23\n";
    assert_eq!(
        read(text).lines().next().unwrap(),
        "Region: North; 2023 Plan: 10; 2023 Actual: 11; 2024 Plan: 12; 2024 Actual: 13"
    );
}

#[test]
fn blank_line_begins_another_table() {
    assert_eq!(
        read("Name,City\nIlse,Bruges\n\nMachine,Power\nLathe,4 kW\n"),
        "Name: Ilse; City: Bruges\nMachine: Lathe; Power: 4 kW"
    );
    assert_eq!(read("Item,Price\nBolt,1.5\n,\nNut,2\n"), "Item: Bolt; Price: 1.5\nItem: Nut; Price: 2");
    assert_eq!(read("Item,Price\nBolt,1.5\n,\nIlse,Bruges\n"), "Item: Bolt; Price: 1.5\nIlse\tBruges");
}

#[test]
fn names_and_their_values_are_no_table() {
    assert_eq!(
        read("Company,Acme\nEmployees,120\nRevenue,4000\n"),
        "Company\tAcme\nEmployees\t120\nRevenue\t4000"
    );
    assert_eq!(read("Owner:,Ilse\nAddress:,Quay 5\n"), "Owner:\tIlse\nAddress:\tQuay 5");
}

#[test]
fn caption_is_above_the_header() {
    assert_eq!(
        read("Harbour ledger,,\nas of May,,\nShip,Port,Tons\nAurora,Kiel,4\n"),
        "Harbour ledger\nas of May\nShip: Aurora; Port: Kiel; Tons: 4"
    );
}

#[test]
fn tables_beside_each_other_are_two() {
    assert_eq!(
        read("Item,Price,,Item,Price\nBolt,1.5,,Nail,3\nNut,2,,,\n"),
        "Item: Bolt; Price: 1.5\nItem: Nut; Price: 2\nItem: Nail; Price: 3"
    );
}
