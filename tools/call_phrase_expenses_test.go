package tools

// expensesDocument says by extensions what its values mean.
const expensesDocument = `openapi: 3.1.0
info: {title: Expenses, version: '1'}
servers: [{url: 'https://expenses.example'}]
paths:
  /expenses:
    post:
      operationId: create_expense
      requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Expense'}}}}
      responses: {'201': {description: ok}}
  /expenses/{expense_id}:
    parameters: [{name: expense_id, in: path, required: true, schema: {type: string}}]
    get:
      operationId: get_expense
      responses: {'200': {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/Expense'}}}}}
    put:
      operationId: put_expense
      requestBody: {content: {application/json: {schema: {$ref: '#/components/schemas/Expense'}}}}
      responses: {'200': {description: ok}}
    patch:
      operationId: patch_expense
      requestBody: {content: {application/merge-patch+json: {schema: {$ref: '#/components/schemas/Expense'}}}}
      responses: {'200': {description: ok}}
    delete:
      operationId: delete_expense
      x-exeat-sentence: 'Look at {expense_id}'
      responses: {'204': {description: ok}}
  /expenses/{expense_id}/approve:
    parameters: [{name: expense_id, in: path, required: true, schema: {type: string}}]
    post: {operationId: approve_expense, summary: Approve an expense, responses: {'200': {description: ok}}}
  /expenses/{expense_id}/receipts:
    parameters: [{name: expense_id, in: path, required: true, schema: {type: string}}]
    post:
      operationId: upload_receipt
      requestBody:
        content:
          multipart/form-data:
            schema: {type: object, properties: {file: {type: string, format: binary}, note: {type: string}}}
      responses: {'201': {description: ok}}
  /expenses/{expense_id}/receipts/{receipt_id}:
    parameters:
      - {name: expense_id, in: path, required: true, schema: {type: string}}
      - {name: receipt_id, in: path, required: true, schema: {type: string}}
    delete: {operationId: delete_receipt, responses: {'204': {description: ok}}}
  /payments:
    post:
      operationId: pay
      summary: Make a payment
      x-exeat-marks: [money]
      x-exeat-sentence: {en: 'Pay {amount} to {iban}', de: '{amount} an {iban} zahlen', fr: 'Payer {amount} à {iban}', es: 'Pagar {amount} a {iban}'}
      requestBody:
        content:
          application/json:
            schema:
              type: object
              properties:
                amount: {type: integer, x-exeat-currency: currency, x-exeat-minor-units: true}
                currency: {type: string, enum: [EUR, USD, JPY]}
                iban: {type: string}
      responses: {'201': {description: ok}}
  /offers:
    post:
      operationId: create_offer
      summary: Make an offer
      requestBody:
        content:
          application/json:
            schema: {type: object, properties: {price: {type: number}, unit: {type: string, format: currency}, title: {type: string}}}
      responses: {'201': {description: ok}}
  /offers/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    get: {operationId: get_offer, responses: {'200': {description: ok}}}
  /entries/{id}:
    x-exeat-noun: ledger entry
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    delete: {operationId: delete_entry, responses: {'204': {description: ok}}}
components:
  schemas:
    Expense:
      type: object
      x-exeat-title: text
      properties:
        id: {type: integer, readOnly: true}
        text: {type: string}
        amount: {type: string, x-exeat-currency: EUR}
        due: {type: string, format: date}
        paid: {type: boolean}
        level: {oneOf: [{const: 1, title: low}, {const: 2, title: urgent}]}
        note: {type: [string, 'null']}
        pin: {type: string, format: password}
`
