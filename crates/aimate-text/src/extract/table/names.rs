//! Words by which columns are called.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Whether a text is a usual name of a column: one of the words itself, or at most
/// three words that begin or end with one.
pub(super) fn is_usual_name(text: &str) -> bool {
    if text.len() > 48 {
        return false;
    }
    let lower = text.to_lowercase();
    let mut words =
        lower.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty());
    let Some(first) = words.next() else { return false };
    let rest: Vec<&str> = words.collect();
    rest.len() <= 2 && (USUAL.contains(first) || rest.last().is_some_and(|last| USUAL.contains(last)))
}

static USUAL: LazyLock<HashSet<&str>> = LazyLock::new(|| WORDS.split_whitespace().collect());

/// In English, German, French, Spanish, Italian, Dutch, Portuguese, Polish and Czech.
const WORDS: &str = "
    account action active address age amount answer area article author available balance birthday brand budget
    category cell change city class client code color colour column comment comments company condition contact
    contract cost count country county created currency customer date day deadline debit credit delivery department
    dept description details discount district due duration edition email employee end expires fax field file
    firstname format from function gender grade group hours id identifier index industry invoice isbn item items job
    key kind label language lastname latitude length level link list location longitude machine manager manufacturer
    max measure member min mobile model modified month name names nr number no note notes occupation office order
    organisation organization owner page parameter party patient payment percent percentage period person phone
    place port position postcode power price priority product profession project property purpose qty quantity
    quarter question rank rate rating reason ref reference region remark remarks requirement responsible result
    revenue role room salary sales school score section sector serial series service sex shift sku source speed
    stage start state status stock street subject sum supplier surname symbol tag target task tax team tel telephone
    term test time title to topic total town type unit units updated url user username value variable vendor version
    volume week weight year zip yes/no
    name vorname nachname ort stadt land strasse straße plz datum betrag menge preis artikel bezeichnung beschreibung
    kunde lieferant abteilung telefon bemerkung anzahl einheit nummer kategorie wert jahr monat typ art firma rolle
    beruf anschrift adresse geburtsdatum gehalt umsatz kosten gesamt summe
    nom prénom prenom ville pays rue montant quantité prix libellé désignation téléphone catégorie valeur année mois
    statut société fonction
    nombre apellido apellidos ciudad país pais dirección fecha importe cantidad precio artículo descripción cliente
    proveedor departamento teléfono observaciones unidad número categoría valor año mes tipo estado empresa cargo
    nome cognome città paese indirizzo data importo quantità prezzo articolo descrizione fornitore reparto telefono
    unità numero categoria valore anno mese stato azienda ruolo
    naam voornaam achternaam stad straat bedrag hoeveelheid prijs omschrijving klant leverancier afdeling telefoon
    aantal eenheid categorie waarde jaar maand bedrijf functie
    sobrenome cidade endereço quantidade preço descrição fornecedor unidade ano mês
    imię nazwisko miasto kraj ulica kwota ilość cena opis klient dostawca dział liczba jednostka rok miesiąc
    jméno příjmení město země ulice částka množství popis zákazník dodavatel oddělení počet jednotka měsíc
";

#[cfg(test)]
mod tests {
    use super::is_usual_name;

    #[test]
    fn usual_names_are_known_in_several_languages() {
        for name in
            ["Name", "First name", "E-mail address", "CITY", "unit_price", "Straße", "Nom", "Příjmení"]
        {
            assert!(is_usual_name(name), "{name}");
        }
        for name in ["Ilse", "Bruges", "Lathe", "Director", "", "the name of the one who came"] {
            assert!(!is_usual_name(name), "{name}");
        }
    }
}
