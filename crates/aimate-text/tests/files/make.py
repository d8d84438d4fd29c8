# Makes the files in crates/aimate-text/tests/files. Needs: pypdf reportlab python-docx python-pptx openpyxl xlwt odfpy msoffcrypto-tool cryptography fonttools
import datetime, io, sys, zipfile
out = sys.argv[1]
from docx import Document
d = Document(); d.core_properties.title = "Harbour report"
d.add_heading("Harbour report", 0); d.add_heading("Ships", 1)
d.add_paragraph("In 2024 the harbour received 312 ships & boats.")
d.add_paragraph("Freight", style="List Bullet"); d.add_paragraph("Passengers", style="List Bullet")
d.add_heading("Steps", 2)
d.add_paragraph("Report", style="List Number"); d.add_paragraph("Berth", style="List Number")
t = d.add_table(rows=2, cols=2)
for r, row in enumerate([["Ship", "Tons"], ["Aurora", "4200"]]):
    for c, v in enumerate(row): t.cell(r, c).text = v
d.add_paragraph("Grüße aus dem Hafen.")
d.save(f"{out}/report.docx")
from pptx import Presentation
from pptx.util import Inches
p = Presentation(); p.core_properties.title = "Harbour plan"
s = p.slides.add_slide(p.slide_layouts[0]); s.shapes.title.text = "Harbour plan"; s.placeholders[1].text = "Budget 2025"
s = p.slides.add_slide(p.slide_layouts[1]); s.shapes.title.text = "Goals"; f = s.placeholders[1].text_frame
f.text = "Deeper basin"; q = f.add_paragraph(); q.text = "to 14 m"; q.level = 1
s.notes_slide.notes_text_frame.text = "Say why 14 m."
t = s.shapes.add_table(2, 2, Inches(1), Inches(4), Inches(4), Inches(1)).table
for r, row in enumerate([["Year", "Cost"], ["2025", "3 million"]]):
    for c, v in enumerate(row): t.cell(r, c).text = v
p.save(f"{out}/plan.pptx")
import openpyxl
w = openpyxl.Workbook(); w.properties.title = "Ledger"; s = w.active; s.title = "Ships"
s.append(["Harbour ledger"]); s.append(["Ship", "Arrival", "Tons"])
s.append(["Aurora", datetime.date(2024, 3, 1), 4200.5]); s.append(["Borealis", datetime.datetime(2024, 3, 2, 14, 30), 1e3])
s = w.create_sheet("Crew"); s.append(["Name", "Rank"]); s.append(["Ada", "Captain"])
w.save(f"{out}/ledger.xlsx")
import xlwt
w = xlwt.Workbook(); s = w.add_sheet("Ships")
for r, row in enumerate([["Ship", "Tons"], ["Aurora", 4200.5]]):
    for c, v in enumerate(row): s.write(r, c, v)
w.save(f"{out}/ledger.xls")
from odf.opendocument import OpenDocumentSpreadsheet
from odf.table import Table, TableRow, TableCell
from odf.text import P
w = OpenDocumentSpreadsheet(); t = Table(name="Ships")
for row in [["Ship", "Port"], ["Aurora", "Kiel"]]:
    r = TableRow()
    for v in row:
        c = TableCell(valuetype="string"); c.addElement(P(text=v)); r.addElement(c)
    t.addElement(r)
w.spreadsheet.addElement(t); w.save(f"{out}/ledger.ods")
import msoffcrypto
from msoffcrypto.format.ooxml import OOXMLFile
with open(f"{out}/ledger.xlsx", "rb") as f, open(f"{out}/locked.xlsx", "wb") as o: OOXMLFile(f).encrypt("secret", o)
from reportlab.pdfgen import canvas
from pypdf import PdfReader, PdfWriter
def pdf(pages):
    b = io.BytesIO(); c = canvas.Canvas(b, invariant=1); c.setTitle("Tide tables")
    for lines in pages:
        y = 780
        for size, line in lines:
            c.setFont("Helvetica", size); c.drawString(72, y, line); y -= 40
        c.showPage()
    c.save(); b.seek(0); return b
text = [[(24, "Tide tables"), (11, "High water at the north pier is at six in the morning.")],
        [(11, "Low water at the south pier is at noon on the second page.")]]
open(f"{out}/tides.pdf", "wb").write(pdf(text).read())
for name, user in [("locked.pdf", "secret"), ("owner-locked.pdf", "")]:
    w = PdfWriter(clone_from=PdfReader(pdf(text))); w.encrypt(user, "owner", algorithm="AES-256"); w.write(f"{out}/{name}")
b = io.BytesIO(); c = canvas.Canvas(b, invariant=1)
for _ in range(3): c.rect(72, 72, 400, 600, fill=1); c.showPage()
c.save(); open(f"{out}/scan.pdf", "wb").write(b.getvalue())
# Pictures of the templates are of no use in a test.
for name in ["report.docx", "plan.pptx"]:
    z = zipfile.ZipFile(f"{out}/{name}"); parts = [(i, z.read(i)) for i in z.infolist() if "thumbnail" not in i.filename]; z.close()
    with zipfile.ZipFile(f"{out}/{name}", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
        for i, data in parts: z.writestr(i.filename, data)

# Number formats, and rows and columns that are hidden, in a workbook of before 2007.
import datetime, xlwt
w = xlwt.Workbook(); s = w.add_sheet("Budget")
bold = xlwt.easyxf("font: bold on")
for c, name in enumerate(["Project", "Start", "Share", "Cost", "Owner"]): s.write(0, c, name, bold)
style = lambda code: xlwt.easyxf(num_format_str=code)
rows = [("Mill", datetime.date(2025, 3, 14), 0.155, 12500.5, "Ilse"), ("Dam", datetime.date(2025, 4, 1), 1, -20, "Tom")]
for r, (project, start, share, cost, owner) in enumerate(rows, 1):
    s.write(r, 0, project); s.write(r, 1, start, style("D-MMM-YY")); s.write(r, 2, share, style("0.0%"))
    s.write(r, 3, cost, style('#,##0.00 "EUR"')); s.write(r, 4, owner)
s.row(2).hidden = True; s.row(2).height_mismatch = True; s.col(4).hidden = True
w.save(f"{out}/office/formats.xls")

# A TrueType font whose codes reach its glyphs by a CIDToGIDMap alone, without ToUnicode.
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
import struct, zlib
letters = "Harbou fe124"  # glyph n + 1 shows letter n
names = [".notdef"] + [f"g{n}" for n in range(len(letters))]
def square():
    pen = TTGlyphPen(None); pen.moveTo((0, 0)); pen.lineTo((400, 0)); pen.lineTo((400, 600)); pen.closePath(); return pen.glyph()
f = FontBuilder(1000, isTTF=True); f.setupGlyphOrder(names)
f.setupCharacterMap({ord(c): f"g{n}" for n, c in enumerate(letters)})
f.setupGlyf({name: square() for name in names}); f.setupHorizontalMetrics({name: (500, 0) for name in names})
f.setupHorizontalHeader(ascent=800, descent=-200); f.setupNameTable({"familyName": "Pier"}); f.setupOS2(); f.setupPost()
b = io.BytesIO(); f.save(b); font = zlib.compress(b.getvalue(), 9)
# CID 40 + n is glyph n + 1, from the last one to the first.
gids = {40 + n: len(letters) - n for n in range(len(letters))}
cids = {letters[gid - 1]: cid for cid, gid in gids.items()}
gid_map = zlib.compress(b"".join(struct.pack(">H", gids.get(cid, 0)) for cid in range(60)), 9)
content = b"BT /F1 12 Tf 72 700 Td <" + b"".join(b"%04x" % cids[c] for c in "Harbour fee 421") + b"> Tj ET"
def stream(data, more=b""): return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(data), more, data)
objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>", stream(content),
    b"<< /Type /Font /Subtype /Type0 /BaseFont /AAAAAA+Pier /Encoding /Identity-H /DescendantFonts [6 0 R] >>",
    b"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /AAAAAA+Pier /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> "
    b"/DW 500 /FontDescriptor 7 0 R /CIDToGIDMap 9 0 R >>",
    b"<< /Type /FontDescriptor /FontName /AAAAAA+Pier /Flags 4 /FontBBox [0 0 400 600] /ItalicAngle 0 /Ascent 800 /Descent -200 "
    b"/CapHeight 600 /StemV 80 /FontFile2 8 0 R >>", stream(font, b"/Filter /FlateDecode /Length1 %d" % len(b.getvalue())),
    stream(gid_map, b"/Filter /FlateDecode")]
out_pdf = b"%PDF-1.4\n"; places = []
for n, o in enumerate(objects, 1): places.append(len(out_pdf)); out_pdf += b"%d 0 obj\n%s\nendobj\n" % (n, o)
table = len(out_pdf); out_pdf += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
out_pdf += b"".join(b"%010d 00000 n \n" % p for p in places)
out_pdf += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
open(f"{out}/pdf/gid-map.pdf", "wb").write(out_pdf)
